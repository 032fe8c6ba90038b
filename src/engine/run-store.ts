import { QuantError } from "../errors";
import type { Scratch } from "../io/scratch";
import type { Calibration, TokenWindows } from "../model/calibration";
import { type Activations, using } from "../ops/activations";
import type { Floats, Tensor } from "../ops/ops";
import type { Beyond, Coded, QuantizedModel } from "../quant/coded";
import { parseRecipe } from "../recipe/schema";
import { differences, type RunIdentity } from "./identity";
import type { BlockOutcome, OutcomeReport, Residuals } from "./outcome";
import { type OpenedOutcome, openOutcome, readLayer, readReplaced, writeOutcome } from "./outcome-file";

/** What was known when a block was committed. The latest commit counts; older ones are removed. */
interface Commit {
  committed: number;
  /** Every adapter that has worked on the run, in order. */
  adapters: string[];
  /** Digests of the tensors read: the embeddings' (null where a recording made reading them unnecessary), then each block's. */
  inputs: (string | null)[];
  /** Shapes of the residual streams' chunks; null after the last block, and where nothing is calibrated. */
  residuals: { shapes: number[][]; isDouble: boolean } | null;
}

const runFile = "run.json";
const exportedFile = "exported";
const blockFile = (m: number) => `block-${m}`;
const commitFile = (n: number) => `commit-${n}.json`;
const residualFile = (n: number, stream: string, c: number) => `residual-${n}-${stream}-${c}`;
const streams = ["full", "quantized"] as const;
const windowParts = ["tokens", "heldOut"] as const;

/** 0: no block was committed. */
const lastCommit = (names: readonly string[]): number =>
  Math.max(0, ...names.map((name) => Number(/^commit-(\d+)\.json$/.exec(name)?.[1] ?? 0)));

const json = (value: unknown) => new TextEncoder().encode(JSON.stringify(value));
const bytesOf = ({ buffer, byteOffset, byteLength }: ArrayBufferView) => new Uint8Array(buffer as ArrayBuffer, byteOffset, byteLength);
const parse = (bytes: Uint8Array): unknown => JSON.parse(new TextDecoder().decode(bytes));

/** What the run was asked to do; a recipe of an older version in today's terms. @throws QuantError `bad-recipe` for one that is not understood. */
function identityIn(bytes: Uint8Array): RunIdentity {
  const kept = parse(bytes) as RunIdentity;
  return { ...kept, recipe: parseRecipe(kept.recipe) };
}

/**
 * A run's outcome, a block at a time: what it was asked to do, what it has done, and all that its next block needs. Where the scratch is on disk, it
 * outlives the process. Only heads and reports are in memory.
 */
export class RunStore implements QuantizedModel {
  readonly reports: OutcomeReport[] = [];
  readonly replaced = new Map<string, Float32Array>();
  readonly beyondF16 = new Map<string, Beyond>();
  private readonly blocks: OpenedOutcome[] = [];
  private readonly blockOf = new Map<string, number>();
  private commit: Commit = { committed: 0, adapters: [], inputs: [], residuals: null };

  private constructor(
    private readonly scratch: Scratch,
    readonly identity: RunIdentity,
  ) {}

  /** Creates an empty store, replacing whatever the scratch holds. */
  static async create(scratch: Scratch, identity: RunIdentity, calibration: Calibration | null): Promise<RunStore> {
    await scratch.clear();
    for (const part of windowParts) {
      const windows = calibration?.[part];
      if (windows) await scratch.write(part, [bytesOf(windows.ids)]);
    }
    await scratch.write(runFile, [json({ ...identity, length: calibration?.tokens.length })]);
    return new RunStore(scratch, identity);
  }

  /** The run that the scratch holds, at its last commit; null where there is none. @throws QuantError `run-exists` for one that cannot be read. */
  static async open(scratch: Scratch): Promise<RunStore | null> {
    const names = await scratch.names();
    if (!names.includes(runFile)) return null;
    try {
      const store = new RunStore(scratch, identityIn(await scratch.read(runFile)));
      await store.restore(names);
      return store;
    } catch (cause) {
      throw new QuantError("run-exists", "what is kept of it cannot be read", "Discard it and start again (--force).", { cause });
    }
  }

  /** What run the scratch holds and how far it is, without reading any block; null where there is none. */
  static async glance(scratch: Scratch): Promise<{ identity: RunIdentity; committed: number; isExported: boolean } | null> {
    const names = await scratch.names();
    if (!names.includes(runFile)) return null;
    const identity = identityIn(await scratch.read(runFile));
    return { identity, committed: lastCommit(names), isExported: names.includes(exportedFile) };
  }

  /** Blocks that are done and kept. */
  get committed(): number {
    return this.commit.committed;
  }

  get isComplete(): boolean {
    return this.committed === this.identity.blocks;
  }

  /** Tokens of the largest chunk of the streams at the last commit: the next blocks must be given them in the same chunks. null before there are any. */
  get chunkTokens(): number | null {
    const { residuals } = this.commit;
    return residuals && Math.max(...residuals.shapes.map(([tokens]) => tokens));
  }

  get adapters(): readonly string[] {
    return this.commit.adapters;
  }

  /** Digests of the tensors read: the embeddings', then each committed block's. */
  get inputs(): readonly (string | null)[] {
    return this.commit.inputs;
  }

  /** @throws QuantError `other-run` saying what differs. */
  requireSame(wanted: RunIdentity): void {
    const found = differences(this.identity, wanted);
    if (found.length)
      throw new QuantError(
        "other-run",
        found.join("; "),
        "Resume it with what it was started with, or start again without it (--force on the command line).",
      );
  }

  /** Commits a block: once this returns, a crash does not lose it. @param inputs digests of the tensors read for it; for the first block, the embeddings' comes first. */
  async put(
    outcome: BlockOutcome,
    residuals: Residuals | null,
    inputs: readonly (string | null)[],
    activations: Activations,
  ): Promise<void> {
    const n = this.committed + 1;
    if (outcome.index !== this.committed) throw new QuantError("internal", `block ${outcome.index} was committed after ${this.committed}`);
    const { head, parts } = writeOutcome(outcome);
    await this.writeNew(blockFile(outcome.index), parts);
    const shapes = residuals && (await this.writeResiduals(n, residuals, activations));
    const adapter = activations.ops.adapter.description;
    const before = this.commit;
    const adapters = before.adapters.at(-1) === adapter ? before.adapters : [...before.adapters, adapter];
    const commit = { committed: n, adapters, inputs: [...before.inputs, ...inputs], residuals: shapes };
    await this.writeNew(commitFile(n), [json(commit)]);
    // Only now that it is written: where the disk is full, the commit before stays the last.
    this.commit = commit;
    await this.removeCommit(before);
    await this.register({ head, dataStart: parts[0].length });
  }

  /** Both streams as they were at the last commit; null where a run starts from the embeddings. */
  async residuals(activations: Activations): Promise<Residuals | null> {
    const { residuals, committed } = this.commit;
    if (!residuals) return null;
    const read = async (stream: string) => {
      const chunks = [];
      for (const [c, shape] of residuals.shapes.entries()) {
        const bytes = await this.scratch.read(residualFile(committed, stream, c));
        const floats = new (residuals.isDouble ? Float64Array : Float32Array)(bytes.buffer as ArrayBuffer);
        chunks.push(await activations.hold(activations.ops.fromFloats(floats, shape)));
      }
      return chunks;
    };
    return { full: await read("full"), quantized: await read("quantized") };
  }

  /** What the run is calibrated on; null where nothing is. The text itself is not needed again. */
  async calibration(): Promise<Calibration | null> {
    const { length } = parse(await this.scratch.read(runFile)) as { length?: number };
    if (length === undefined) return null;
    const names = await this.scratch.names();
    const read = async (part: (typeof windowParts)[number]): Promise<TokenWindows | null> => {
      if (!names.includes(part)) return null;
      const ids = new Int32Array((await this.scratch.read(part)).buffer as ArrayBuffer);
      return { length, windows: ids.length / length, ids };
    };
    return { tokens: (await read("tokens"))!, heldOut: await read("heldOut") };
  }

  async layer(name: string): Promise<Coded | null> {
    const m = this.blockOf.get(name);
    if (m === undefined) return null;
    return readLayer(this.blocks[m], name, (start, end) => this.scratch.read(blockFile(m), start, end));
  }

  /** Records that the run was exported, so that it need not be offered for resuming. */
  async markExported(): Promise<void> {
    if (!(await this.scratch.names()).includes(exportedFile)) await this.scratch.write(exportedFile, []);
  }

  /** Deletes the run. */
  discard(): Promise<void> {
    return this.scratch.clear();
  }

  private async restore(names: readonly string[]): Promise<void> {
    const last = lastCommit(names);
    if (last > 0) this.commit = parse(await this.scratch.read(commitFile(last))) as Commit;
    for (let m = 0; m < this.committed; m++)
      await this.register(await openOutcome((start, end) => this.scratch.read(blockFile(m), start, end)));
  }

  private async register(opened: OpenedOutcome): Promise<void> {
    const { index, layers, beyondF16, report } = opened.head;
    this.blocks[index] = opened;
    for (const { name } of layers) this.blockOf.set(name, index);
    const read = (start: number, end: number) => this.scratch.read(blockFile(index), start, end);
    for (const [name, values] of await readReplaced(opened, read)) this.replaced.set(name, values);
    for (const [name, at, value] of beyondF16) this.beyondF16.set(name, { index: at, value: Number(value) });
    this.reports.push(report);
  }

  private async writeResiduals(n: number, residuals: Residuals, activations: Activations): Promise<Commit["residuals"]> {
    let isDouble = false;
    for (const stream of streams)
      for (const [c, activation] of residuals[stream].entries()) {
        const floats = await using(activation, (tensor) => readOne(activations, tensor));
        isDouble = floats instanceof Float64Array;
        await this.writeNew(residualFile(n, stream, c), [bytesOf(floats)]);
      }
    return { shapes: residuals.full.map(({ shape }) => [...shape]), isDouble };
  }

  /** Writes a file, replacing what a failed attempt may have left under that name. */
  private async writeNew(name: string, parts: readonly Uint8Array[]): Promise<void> {
    await this.scratch.remove(name);
    await this.scratch.write(name, parts);
  }

  private async removeCommit({ committed, residuals }: Commit): Promise<void> {
    await this.scratch.remove(commitFile(committed));
    for (const stream of streams)
      for (let c = 0; c < (residuals?.shapes.length ?? 0); c++) await this.scratch.remove(residualFile(committed, stream, c));
  }
}

async function readOne({ ops }: Activations, tensor: Tensor): Promise<Floats> {
  const [floats] = await ops.read([tensor]);
  return floats;
}
