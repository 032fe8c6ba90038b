/** `sh run.sh [SECONDS] [FOLDER]`: runs the parts in order within the time, and writes gpu-CARD.json, gpu-CARD.md and gpu-CARD.log to the folder. */
import { closeSync, mkdirSync, mkdtempSync, openSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { runChild } from "./child";
import { partsOf } from "./parts";
import { reportOf, slug, table } from "./report";
import { type Outcome, type Part, type PartRun, runParts } from "./schedule";
import { kernelTestNames } from "./tests";
import { type Card, fact } from "./types";
import { type Way, waysOf } from "./vulkan";

const pack = fileURLToPath(new URL("../..", import.meta.url));
const { commit }: { commit: string } = JSON.parse(readFileSync(join(pack, "pack.json"), "utf8"));

/** Where a container finds NVIDIA's libraries, beside the system's own places. */
const nvidiaFolders = ["/usr/local/nvidia/lib64", "/usr/local/nvidia/lib"];

function environment({ manifest, withLibraries }: Way): NodeJS.ProcessEnv {
  const libraries = [join(pack, "lib"), process.env.LD_LIBRARY_PATH, ...nvidiaFolders, withLibraries && join(pack, "lib/common")];
  const driver = manifest ? { QEP_VK_ICD: manifest, VK_DRIVER_FILES: manifest, VK_ICD_FILENAMES: manifest } : {};
  return { HOME: tmpdir(), ...process.env, ...driver, LD_LIBRARY_PATH: libraries.filter(Boolean).join(delimiter) };
}

interface Session {
  temporary: string;
  log: number;
  card: Card | null;
  env: NodeJS.ProcessEnv;
}

async function start(session: Session, { name }: Part, until: number): Promise<PartRun> {
  const notes = join(session.temporary, "notes");
  const own = { QEP_PACK_NOTES: notes, QEP_PACK_UNTIL: String(until), QEP_PACK_SOFTWARE: session.card?.software ? "1" : "0" };
  const args = [join(pack, "tests/bundle/part.js"), name];
  const run = await runChild({
    command: process.execPath,
    args,
    cwd: pack,
    env: { ...session.env, ...own },
    notes,
    log: session.log,
    until,
  });
  session.card ??= run.notes.flatMap((note) => ("card" in note ? [note.card] : []))[0] ?? null;
  return run;
}

/** The first part decides how Vulkan is started: by the first way that gives an adapter. */
async function facts(session: Session, part: Part, until: number): Promise<PartRun> {
  let last: PartRun | null = null;
  for (const way of waysOf(process.env, session.temporary)) {
    session.env = { ...environment(way), QEP_PACK_DRIVER: way.how };
    const run = await start(session, part, until);
    if (session.card || run.ending.kind === "cut") return run;
    last ??= run;
  }
  return last!;
}

const tell = (part: Part, { rows, failures }: Outcome) => {
  for (const { what, measured, why } of rows) console.log(`${what}: ${measured}${why ? ` (${why})` : ""}`);
  if (rows.length === 0 && failures.length === 0) console.log(`${part.title}: nothing to tell`);
};

async function main(): Promise<number> {
  const began = Date.now();
  const seconds = Number(process.argv[2] ?? 360);
  if (!(seconds > 0)) throw new Error(`the time limit is a number of seconds, not ${process.argv[2]}`);
  const folder = resolve(process.argv[3] ?? ".");
  mkdirSync(folder, { recursive: true });
  const temporary = mkdtempSync(join(tmpdir(), "qep-pack-"));
  const logFile = join(folder, "gpu-bench.log");
  const session: Session = { temporary, log: openSync(logFile, "w"), card: null, env: process.env };
  const until = began + 1000 * seconds;
  const [first, ...rest] = partsOf(kernelTestNames);
  const clock = { now: Date.now };
  const found = await runParts([first], until, clock, (part, limit) => facts(session, part, limit), tell);
  // Without an adapter every other part would fail in the same way.
  const later = session.card ? await runParts(rest, until, clock, (part, limit) => start(session, part, limit), tell) : missing(rest);
  const all = { rows: [...found.rows, ...later.rows], failures: [...found.failures, ...later.failures] };
  const { card } = session;
  const took = (Date.now() - began) / 1000;
  const report = reportOf({ card, seconds, took, date: new Date().toISOString().slice(0, 10), commit, ...all });
  const base = join(folder, `gpu-${slug(card?.name ?? "none")}`);
  writeFileSync(`${base}.json`, `${JSON.stringify(report, null, 2)}\n`);
  writeFileSync(`${base}.md`, table(report));
  closeSync(session.log);
  renameSync(logFile, `${base}.log`);
  rmSync(temporary, { recursive: true, force: true });
  console.log(`\n${table(report)}\n${base}.json, .md and .log, after ${took.toFixed(0)} of ${seconds} s.`);
  for (const failure of all.failures) console.log(`FAILED ${failure}`);
  return all.failures.length ? 1 : 0;
}

const missing = (parts: readonly Part[]): Outcome => ({
  rows: parts.map(({ title }) => fact(title, "not run (no adapter)")),
  failures: [],
});

main().then(
  (code) => process.exit(code),
  (error) => {
    console.error(error instanceof Error ? error.message : error);
    process.exit(2);
  },
);
