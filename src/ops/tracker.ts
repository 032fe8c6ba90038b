import { QuantError } from "../errors";
import type { Scope, Tensor } from "./ops";

/** Which tensors are alive and how many bytes they hold. Both implementations of Ops keep their books with it. */
export class Tracker<T extends Tensor> {
  liveBytes = 0;
  peakBytes = 0;
  private readonly live = new Map<T, number>();
  private readonly scopes: Set<T>[] = [];

  /** @param release gives the storage of a freed tensor back. */
  constructor(private readonly release: (tensor: T) => void) {}

  add(tensor: T, bytes: number): T {
    this.live.set(tensor, bytes);
    this.liveBytes += bytes;
    this.peakBytes = Math.max(this.peakBytes, this.liveBytes);
    this.scopes.at(-1)?.add(tensor);
    return tensor;
  }

  /** @throws QuantError `internal` for a tensor that was freed before: a bug that would corrupt another tensor's storage. */
  free(tensor: T): void {
    const bytes = this.live.get(tensor);
    if (bytes === undefined) throw new QuantError("internal", `a tensor of ${tensor.shape.join(" × ")} was freed twice`);
    this.live.delete(tensor);
    this.liveBytes -= bytes;
    this.release(tensor);
  }

  isLive(tensor: T): boolean {
    return this.live.has(tensor);
  }

  resetPeak(): void {
    this.peakBytes = this.liveBytes;
  }

  /** Scopes nest; a tensor kept by an inner scope belongs to the next outer one. */
  scope(): Scope {
    const mine = new Set<T>();
    this.scopes.push(mine);
    return {
      keep: (...tensors) => {
        const outer = this.scopes[this.scopes.indexOf(mine) - 1];
        for (const t of tensors as T[]) if (mine.delete(t)) outer?.add(t);
      },
      end: () => {
        this.scopes.splice(this.scopes.indexOf(mine), 1);
        for (const t of mine) if (this.live.has(t)) this.free(t);
      },
    };
  }
}
