import { throwIfCancelled } from "../errors";
import type { Source } from "../io/types";
import type { Checkpoint } from "../model/checkpoint";
import type { ComparedLayer } from "../results/verification";
import { Findings } from "./findings";
import { type Moves, unknownMoves } from "./said";

/** What a check works on, and what it has found so far. */
export class CheckJob {
  readonly findings = new Findings();
  readonly layers: ComparedLayer[] = [];
  title = "";
  tensors = 0;
  /** Bytes of all tensors. */
  total = 0;
  /** Bytes that will be read at least: known from the files' sizes before their headers tell the total. */
  least = 0;
  /** What may have been done to the layers. */
  moves: Moves = unknownMoves;
  /** Bytes read so far. */
  private done = 0;

  constructor(
    readonly source: Source,
    /** The original to compare with. */
    readonly original: Checkpoint | null,
    private readonly progress: (done: number, total: number, where: string) => void,
    readonly signal?: AbortSignal,
    /** A type of GGUF's that recipe.json says embeddings and head were rounded to, whatever they are stored in. */
    readonly tableType: string | null = null,
  ) {}

  /** So many more bytes of a tensor were read. @throws QuantError `cancelled`. */
  read(bytes: number, where: string): void {
    throwIfCancelled(this.signal);
    this.done += bytes;
    const total = Math.max(this.total, this.least);
    // Some are read again when other readings are tried.
    this.progress(Math.min(this.done, total), total, where);
  }
}
