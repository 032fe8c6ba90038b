/** A copy of src/ in which some lines and files are added. */
import { spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { root } from "../support/tree";

/** Goes behind the line that starts so. */
export interface Line {
  file: string;
  behind: string;
  line: string;
}

const copies: string[] = [];

export function copySources(lines: readonly Line[], files: Readonly<Record<string, string>>) {
  const folder = mkdtempSync(join(tmpdir(), "qep-adding-"));
  copies.push(folder);
  for (const name of ["src", "shaders", "package.json", "tsconfig.json"]) cpSync(join(root, name), join(folder, name), { recursive: true });
  symlinkSync(join(root, "node_modules"), join(folder, "node_modules"));
  for (const { file, behind, line } of lines) {
    const text = readFileSync(join(folder, file), "utf8").split("\n");
    const at = text.findIndex((l) => l.startsWith(behind));
    if (at < 0) throw new Error(`${file} has no line that starts with ${behind}`);
    writeFileSync(join(folder, file), text.toSpliced(at + 1, 0, line).join("\n"));
  }
  for (const [file, text] of Object.entries(files)) writeFileSync(join(folder, file), text);
  writeFileSync(join(folder, "tsconfig.src.json"), JSON.stringify({ extends: "./tsconfig.json", include: ["src"] }));
  return {
    // biome-ignore lint/suspicious/noExplicitAny: the copy's types are the compiler's business, in `compile`.
    module: (path: string): Promise<any> => import(join(folder, path)),
    /** What the compiler says of the copy. */
    compile: () =>
      spawnSync(process.execPath, [join(root, "node_modules/typescript/bin/tsc"), "-p", "tsconfig.src.json"], {
        cwd: folder,
        encoding: "utf8",
      }).stdout,
  };
}

export function removeCopies(): void {
  for (const copy of copies) rmSync(copy, { recursive: true, force: true });
}
