/** Finished measurements on disk, so that an interrupted `npm run results` goes on where it was. */
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** All that could change a figure. What only shows or stores figures is not in it. */
const inputs = [
  ...["engine", "export", "io", "model", "ops", "quant", "recipe", "errors.ts", "cli/args.ts", "cli/recipe.ts"].map(
    (path) => `src/${path}`,
  ),
  "shaders",
  "public/demo/model",
  "public/demo/tasks.jsonl",
  "tests/fixtures/demo",
  "tests/fixtures/oracle",
  "scripts/results/measure.ts",
];
const packages = ["webgpu", "@huggingface/tokenizers"];

function filesUnder(root: string, path: string): string[] {
  if (!statSync(join(root, path)).isDirectory()) return [path];
  return readdirSync(join(root, path))
    .sort()
    .flatMap((name) => filesUnder(root, `${path}/${name}`));
}

/** One hash over the project's files that figures depend on, the packages that compute, and the adapter. */
export function fingerprint(root: string, adapter: string): string {
  const hash = createHash("sha256").update(adapter);
  const { dependencies } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
  for (const name of packages) hash.update(`\0${name} ${dependencies[name]}`);
  for (const file of inputs.flatMap((path) => filesUnder(root, path))) {
    hash.update(`\0${file}\0${statSync(join(root, file)).size}\0`).update(readFileSync(join(root, file)));
  }
  return hash.digest("hex").slice(0, 16);
}

/** Values by name in one folder; a value is either there whole or not there. */
export class Cache<T> {
  constructor(private readonly folder: string) {}

  get(name: string): T | null {
    const path = this.path(name);
    return existsSync(path) ? JSON.parse(readFileSync(path, "utf8")) : null;
  }

  put(name: string, value: T): void {
    mkdirSync(this.folder, { recursive: true });
    const half = `${this.path(name)}.${process.pid}`;
    writeFileSync(half, JSON.stringify(value));
    renameSync(half, this.path(name));
  }

  drop(name: string): void {
    rmSync(this.path(name), { force: true });
  }

  private path(name: string): string {
    return join(this.folder, `${name}.json`);
  }
}

/**
 * Makes what the cache lacks, in order, and keeps each as soon as it is made.
 * @param fresh makes it even where it is there.
 */
export async function fill<T>(
  cache: Cache<T>,
  names: readonly string[],
  fresh: boolean,
  make: (name: string) => Promise<T>,
): Promise<void> {
  // All at once and first: an interrupted fresh start continues without --fresh.
  if (fresh) for (const name of names) cache.drop(name);
  for (const name of names) if (cache.get(name) === null) cache.put(name, await make(name));
}
