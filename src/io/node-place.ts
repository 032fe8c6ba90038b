/**
 * Puts a finished folder's files into a folder that exists, which may be a mount point and cannot be replaced. What stood there is moved aside first. A process
 * that dies on the way leaves nothing that a client would load, and `undoMoves` brings back what was there before.
 */
import * as fs from "node:fs/promises";
import { join, relative, sep } from "node:path";

/** In the folder of the moves: what stood in the output before. */
const replaced = "replaced";
/** In the folder of the moves: names and inodes of the entries that are moved into the output. */
const list = "placed.json";
/** What a new ext4 file system holds; it is nobody's. */
const systems = "lost+found";

/** The name of moves that came to their end. */
const done = (moves: string) => `${moves}.done`;

/** The entries of a folder but for the one that holds our work, if it is there. */
export async function entriesBeside(out: string, work: string): Promise<string[]> {
  const [own] = relative(out, work).split(sep);
  return (await fs.readdir(out)).filter((name) => name !== own && !name.startsWith(`${own}.`) && name !== systems);
}

/** What makes a folder loadable comes last: config.json, and the first part of a split GGUF file after the others. */
function inOrder(names: readonly string[]): string[] {
  const rank = (name: string) => (name === "config.json" ? 2 : /\.gguf$/i.test(name) ? 1 : 0);
  return [...names].sort((a, b) => rank(a) - rank(b) || (a < b ? 1 : -1));
}

/** @param moves a folder on the output's file system, kept until the last entry is in place. */
export async function moveInto(out: string, temp: string, moves: string): Promise<void> {
  await fs.mkdir(join(moves, replaced), { recursive: true });
  try {
    for (const name of inOrder(await entriesBeside(out, temp)).reverse()) await fs.rename(join(out, name), join(moves, replaced, name));
    const names = inOrder(await fs.readdir(temp));
    const inodes = await Promise.all(names.map(async (name) => [name, (await fs.lstat(join(temp, name))).ino]));
    await fs.writeFile(join(moves, list), JSON.stringify(Object.fromEntries(inodes)));
    for (const name of names) await fs.rename(join(temp, name), join(out, name));
  } catch (e) {
    await undoMoves(out, moves);
    throw e;
  }
  // From here on the new files count, and nothing is undone.
  await fs.rename(moves, done(moves));
  await fs.rm(done(moves), { recursive: true });
  await fs.rmdir(temp);
}

/** Undoes moves that did not come to their end. Entries that were put there since then stay. */
export async function undoMoves(out: string, moves: string): Promise<void> {
  await fs.rm(done(moves), { recursive: true, force: true });
  const old = await fs.readdir(join(moves, replaced)).catch(() => null);
  if (old === null) return;
  const inodes: Record<string, number> = JSON.parse(await fs.readFile(join(moves, list), "utf8").catch(() => "{}"));
  const inode = async (name: string) => (await fs.lstat(join(out, name)).catch(() => null))?.ino;
  for (const name of inOrder(Object.keys(inodes)).reverse())
    if ((await inode(name)) === inodes[name]) await fs.rm(join(out, name), { recursive: true });
  for (const name of inOrder(old)) if ((await inode(name)) === undefined) await fs.rename(join(moves, replaced, name), join(out, name));
  await fs.rm(moves, { recursive: true });
}
