/** `sh run.sh [SECONDS] [FOLDER]`: runs the parts in order within the time, and writes gpu-CARD.json, gpu-CARD.md and gpu-CARD.log to the folder. */
import { mkdirSync, mkdtempSync, openSync, readFileSync, renameSync, rmSync, writeFileSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { runChild } from "./child";
import { partsOf } from "./parts";
import { reportOf, slug, table } from "./report";
import { type Outcome, type Part, type PartRun, runParts } from "./schedule";
import { kernelTestNames } from "./tests";
import { type Card, fact, type Report } from "./types";
import { type Way, waysOf } from "./vulkan";

const pack = fileURLToPath(new URL("../..", import.meta.url));
const { commit }: { commit: string } = JSON.parse(readFileSync(join(pack, "pack.json"), "utf8"));

function environment({ manifest, withLibraries }: Way): NodeJS.ProcessEnv {
  // run.sh has put our Vulkan loader first.
  const own = withLibraries ? ["lib/common", "lib/c++"].map((name) => join(pack, name)) : [];
  const driver = manifest ? { QEP_VK_ICD: manifest, VK_DRIVER_FILES: manifest, VK_ICD_FILENAMES: manifest } : {};
  return {
    HOME: tmpdir(),
    ...process.env,
    ...driver,
    LD_LIBRARY_PATH: [process.env.LD_LIBRARY_PATH, ...own].filter(Boolean).join(delimiter),
  };
}

/** A run of the pack. */
class Session {
  private readonly began = Date.now();
  private readonly temporary = mkdtempSync(join(tmpdir(), "qep-pack-"));
  private readonly logFile: string;
  private readonly log: number;
  private env = process.env;
  private card: Card | null = null;
  private readonly rows: Report["rows"] = [];
  private readonly failures: string[] = [];

  constructor(
    private readonly seconds: number,
    private readonly folder: string,
  ) {
    mkdirSync(folder, { recursive: true });
    this.logFile = join(folder, "gpu-bench.log");
    this.log = openSync(this.logFile, "w");
  }

  async run(): Promise<boolean> {
    const [first, ...rest] = partsOf(kernelTestNames);
    await this.runAll([first], (part, until) => this.facts(part, until));
    if (this.card) await this.runAll(rest, (part, until) => this.start(part, until));
    // Without an adapter every other part would fail in the same way.
    else this.rows.push(...rest.map(({ title }) => fact(title, "not run (no adapter)")));
    const base = this.write();
    renameSync(this.logFile, `${base}.log`);
    rmSync(this.temporary, { recursive: true, force: true });
    console.log(`\n${table(this.report())}\nWritten to ${base}.json, .md and .log.`);
    for (const failure of this.failures) console.log(`FAILED ${failure}`);
    return this.failures.length === 0;
  }

  private async runAll(parts: readonly Part[], run: (part: Part, until: number) => Promise<PartRun>): Promise<void> {
    await runParts(parts, this.began + 1000 * this.seconds, { now: Date.now }, run, (_, outcome) => this.told(outcome));
  }

  private told({ rows, failures }: Outcome): void {
    for (const { what, measured, why } of rows) console.log(`${what}: ${measured}${why ? ` (${why})` : ""}`);
    this.rows.push(...rows);
    this.failures.push(...failures);
    // After every part, so that what stops us leaves what is measured.
    this.write();
  }

  private async start({ name }: Part, until: number, more: NodeJS.ProcessEnv = {}): Promise<PartRun> {
    writeSync(this.log, `== ${name}\n`);
    const notes = join(this.temporary, "notes");
    const env = {
      ...this.env,
      ...more,
      QEP_PACK_NOTES: notes,
      QEP_PACK_UNTIL: String(until),
      QEP_PACK_SOFTWARE: this.card?.software ? "1" : "0",
    };
    const args = [join(pack, "tests/bundle/part.js"), name];
    const run = await runChild({ command: process.execPath, args, cwd: pack, env, notes, log: this.log, until });
    this.card ??= run.notes.flatMap((note) => ("card" in note ? [note.card] : []))[0] ?? null;
    return run;
  }

  /** The first part decides how Vulkan is started: the first way that gives an adapter. If none does, the first way's failure is told. */
  private async facts(part: Part, until: number): Promise<PartRun> {
    let first: PartRun | null = null;
    for (const way of waysOf(process.env, this.temporary)) {
      this.env = { ...environment(way), QEP_PACK_DRIVER: way.how };
      writeSync(this.log, `== ${way.how}: ${way.manifest}\n`);
      const run = await this.start(part, until, { VK_LOADER_DEBUG: "error,warn,driver" }); // In the log: why a driver did not load.
      if (this.card || run.ending.kind === "cut") return run;
      first ??= run;
    }
    return first!;
  }

  private report(): Report {
    const { card, seconds, rows, failures } = this;
    const took = (Date.now() - this.began) / 1000;
    return reportOf({ card, seconds, took, date: new Date().toISOString().slice(0, 10), commit, failures, rows });
  }

  /** @returns the files' path without its end */
  private write(): string {
    const report = this.report();
    const base = join(this.folder, `gpu-${slug(this.card?.name ?? "none")}`);
    writeFileSync(`${base}.json`, `${JSON.stringify(report, null, 2)}\n`);
    writeFileSync(`${base}.md`, table(report));
    return base;
  }
}

async function main([seconds = "360", folder = "."]: string[]): Promise<number> {
  if (!(Number(seconds) > 0)) throw new Error(`the time limit is a number of seconds, not ${seconds}`);
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => process.exit(130));
  return (await new Session(Number(seconds), resolve(folder)).run()) ? 0 : 1;
}

main(process.argv.slice(2)).then(
  (code) => process.exit(code),
  (error) => {
    console.error(error instanceof Error ? error.message : error);
    process.exit(2);
  },
);
