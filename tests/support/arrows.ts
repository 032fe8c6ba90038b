/** Reads the imports of src/ and names every one that goes against ARCHITECTURE.md's arrows, and every cycle. */
import { posix } from "node:path";

/** Path from the repository root → text. */
export type Files = ReadonlyMap<string, string>;

interface Import {
  kind: "value" | "type" | "url";
  target: string;
}

/** What each layer may import beside itself and the leaves. */
const data = ["engine", "verify", "reopen", "export", "quant", "model", "ops", "io"];
const reach: Record<string, readonly string[]> = {
  main: ["ui", "store", "client"],
  ui: ["store"],
  store: ["client", "protocol"],
  client: ["protocol"],
  protocol: [],
  worker: ["protocol", ...data],
  cli: data,
  ...Object.fromEntries(data.map((layer, at) => [layer, data.slice(at + 1)])),
  leaf: [],
};

/** Packages that belong to one place. */
const packages: readonly [name: RegExp, home: RegExp][] = [
  [/^(react|react-dom|recharts)(\/|$)/, /^src\/(ui\/|main\.tsx$)/],
  [/^comlink$/, /^src\/worker\//],
  [/^webgpu$/, /^src\/ops\/gpu\/node/],
  [/^node:/, /^src\/(io\/node|ops\/gpu\/node|cli\/)/],
];

const started: Record<string, string> = {
  "src/worker/client.ts": "src/worker/worker.ts",
  "src/worker/helper.ts": "src/worker/helper-worker.ts",
  "src/worker/hasher.ts": "src/worker/hash-worker.ts",
};

const globals = ["document", "window", "navigator"];
const globalsHome = /^src\/(ui\/|main\.tsx$|ops\/gpu\/|io\/)/;
const shadersHome = /^src\/ops\/gpu\/kernels/;

function layerOf(path: string): string | undefined {
  const [, folder, file = ""] = path.split("/");
  if (folder === "main.tsx") return "main";
  if (folder === "errors.ts" || folder === "recipe" || folder === "results") return "leaf";
  if (folder === "worker") return ["client", "protocol"].find((name) => file === `${name}.ts`) ?? "worker";
  return folder in reach ? folder : undefined;
}

const withoutComments = (text: string) => text.replace(/\/\*[\s\S]*?\*\//g, " ").replace(/(^|[^:"'`\\])\/\/.*$/gm, "$1");

function importsOf(code: string): Import[] {
  const found: Import[] = [];
  // Names in quotation marks (`export { x as "x-y" }`) look like what is imported.
  const plain = code.replace(/\bas "[^"]*"/g, "");
  for (const [, type, names = "", target] of plain.matchAll(/\b(?:import|export)\s+(type\s)?(?:([^"';()]*?)\sfrom\s*)?"([^"]+)"/g)) {
    const listed = /^\s*\{([^}]*)\}\s*$/
      .exec(names)?.[1]
      .split(",")
      .filter((name) => name.trim());
    const onlyTypes = type || (listed?.length && listed.every((name) => /^\s*type\s/.test(name)));
    found.push({ kind: onlyTypes ? "type" : "value", target });
  }
  for (const [, target] of code.matchAll(/\bimport(?:\.meta\.glob)?\s*(?:<[^>]*>)?\(\s*"([^"]+)"/g)) found.push({ kind: "value", target });
  for (const [, target] of code.matchAll(/\bnew URL\(\s*"([^"]+)"\s*,\s*import\.meta\.url/g)) found.push({ kind: "url", target });
  return found;
}

function resolve(files: Files, from: string, target: string): string {
  const path = posix.join(posix.dirname(from), target.replace(/\?.*$/, ""));
  return [path, `${path}.ts`, `${path}.tsx`, `${path}/index.ts`].find((candidate) => files.has(candidate)) ?? path;
}

/** True where the word is the browser's global, not a variable of that name (a token window, a document of a corpus). */
function usesGlobal(code: string, word: string): boolean {
  const declared = new RegExp(`\\b(?:const|let|var)\\s[^=;]*\\b${word}\\b|[(,{]\\s*${word}\\s*[:,)}=]|\\b${word}\\s*=>`);
  return new RegExp(`(?<![.\\w"'\`-])${word}\\??\\.[a-zA-Z]`).test(code) && !declared.test(code);
}

function wrongImport(files: Files, from: string, { kind, target }: Import): string | undefined {
  if (!target.startsWith(".")) {
    const [, home] = packages.find(([name]) => name.test(target)) ?? [];
    return home && !home.test(from) ? `${from} may not import ${target}` : undefined;
  }
  const to = resolve(files, from, target);
  const refused = `${from} may not import ${to}`;
  if (to.startsWith("shaders/")) return shadersHome.test(from) ? undefined : refused;
  if (to === "package.json") return undefined;
  if (!files.has(to)) return `${from} imports ${to}, which does not exist`;
  // Starting the worker is the client's one link across, a helper the worker's; neither is imported.
  if (kind === "url") return started[from] === to ? undefined : refused;
  if (to === "src/io/types.ts" && kind === "type") return undefined;
  const [source, goal] = [layerOf(from), layerOf(to)];
  if (source === undefined || goal === undefined) return `${source === undefined ? from : to} is in no layer of the design`;
  if (goal === "leaf" || goal === source || reach[source].includes(goal)) return undefined;
  return refused;
}

function cycles(graph: ReadonlyMap<string, readonly string[]>): string[] {
  const found: string[] = [];
  const state = new Map<string, "open" | "done">();
  const visit = (file: string, path: readonly string[]) => {
    if (state.get(file) === "done") return;
    if (state.get(file) === "open") {
      found.push(`cycle: ${[...path.slice(path.indexOf(file)), file].join(" → ")}`);
      return;
    }
    state.set(file, "open");
    for (const next of graph.get(file) ?? []) visit(next, [...path, file]);
    state.set(file, "done");
  };
  for (const file of graph.keys()) visit(file, []);
  return found;
}

/** One sentence for each thing wrong; none is right. */
export function checkArrows(files: Files): string[] {
  const wrong: string[] = [];
  const graph = new Map<string, string[]>();
  for (const [path, text] of files) {
    if (!/^src\/.*\.tsx?$/.test(path)) continue;
    const code = withoutComments(text);
    const imports = importsOf(code);
    wrong.push(...imports.flatMap((one) => wrongImport(files, path, one) ?? []));
    if (!globalsHome.test(path)) {
      wrong.push(...globals.filter((word) => usesGlobal(code, word)).map((word) => `${path} may not use ${word}`));
    }
    const local = imports.filter(({ kind, target }) => kind !== "url" && target.startsWith("."));
    graph.set(
      path,
      local.map(({ target }) => resolve(files, path, target)).filter((to) => to.startsWith("src/")),
    );
  }
  return [...wrong, ...cycles(graph)];
}
