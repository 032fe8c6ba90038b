import { QuantError } from "../../errors";

/**
 * Everything that went wrong on the device since the last check. A GPU reports faults late, and not at the call that caused them; they are
 * gathered here and thrown by the next flush or read. Order matters: after a loss every later fault is a consequence, and after an
 * allocation failed so are the validation errors of the commands that used the missing buffer.
 */
export class Faults {
  private lost = "";
  private outOfMemory = "";
  private fault = "";
  private readonly pending = new Set<Promise<unknown>>();
  /** Counts the failures: buffers made before one may be invalid and must not be reused. */
  generation = 0;

  constructor(private readonly device: GPUDevice) {
    device.lost.then((info) => {
      this.lost =
        info.reason === "destroyed" ? "it was released" : oneLine(info.message) || "the driver, a reset or another program took it";
    });
    device.addEventListener("uncapturederror", (event) => this.record((event as GPUUncapturedErrorEvent).error));
  }

  record(error: GPUError | null): void {
    if (!error) return;
    this.generation++;
    if (error.constructor.name === "GPUOutOfMemoryError") this.outOfMemory ||= error.message;
    else this.fault ||= error.message;
  }

  recordMessage(message: string): void {
    this.generation++;
    this.fault ||= message;
  }

  /** Remembers a promise that `settle` waits for; a rejection means that the device is going away, which `check` reports. */
  watch(promise: Promise<unknown>): void {
    const guarded: Promise<unknown> = promise.catch(() => {}).finally(() => this.pending.delete(guarded));
    this.pending.add(guarded);
  }

  openScopes(): void {
    this.device.pushErrorScope("validation");
    this.device.pushErrorScope("out-of-memory");
  }

  closeScopes(): void {
    for (let i = 0; i < 2; i++) this.watch(this.device.popErrorScope().then((e) => this.record(e)));
  }

  async settle(): Promise<void> {
    await Promise.all(this.pending);
  }

  /** After a rejected wait: gives `device.lost`, which may settle a moment later than the wait, time to say why. */
  async awaitLoss(): Promise<void> {
    await Promise.race([this.device.lost, new Promise((resolve) => setTimeout(resolve, 200))]);
  }

  /** @throws QuantError of the worst fault and forgets it, so that a retry with smaller pieces starts clean; a loss stays. */
  check(): void {
    if (this.lost) throw new QuantError("device-lost", this.lost, "Run again: a finished block is not computed twice.");
    const { outOfMemory, fault } = this;
    this.outOfMemory = "";
    this.fault = "";
    if (outOfMemory)
      throw new QuantError("gpu-out-of-memory", oneLine(outOfMemory), "Close other programs, or use fewer or shorter windows.");
    if (fault) throw new QuantError("gpu-fault", oneLine(fault), "Please report this with the name of your GPU and browser.");
  }
}

/** A QuantError's `where` is the middle of a sentence. */
const oneLine = (message: string): string => message.trim().replace(/\s+/g, " ").replace(/\.$/, "");
