/**
 * Holds the engine in its worker at a place of the test's choosing, however fast the machine is: every wait for the device is counted,
 * and from a given number on they wait for the test too. Messages to the worker are still heard.
 */
import { expect, type Page, type Worker } from "@playwright/test";

interface Gate {
  passed: number;
  limit: number;
  held: number;
  open(): void;
  opened: Promise<void>;
}

type Gated = typeof globalThis & { gate: Gate };

export interface EngineGate {
  /** Waits for the device so far. */
  passed(): Promise<number>;
  /** After so many more of them the engine stands still; where it stands still now, it goes on until then. */
  holdAfter(waits: number): Promise<void>;
  /** Until the engine stands still. */
  held(): Promise<void>;
  release(): Promise<void>;
}

export async function gateEngine(page: Page): Promise<EngineGate> {
  await expect.poll(() => page.workers().length).toBeGreaterThan(0);
  const worker: Worker = page.workers()[0];
  await worker.evaluate(() => {
    const shut = () => {
      let open = () => {};
      const opened = new Promise<void>((resolve) => {
        open = resolve;
      });
      return { open, opened };
    };
    const gate: Gate = { passed: 0, limit: Number.POSITIVE_INFINITY, held: 0, ...shut() };
    Object.assign(globalThis, { gate, shut });
    const pass = async () => {
      gate.passed++;
      if (gate.passed <= gate.limit) return;
      gate.held++;
      await gate.opened;
      gate.held--;
    };
    const { mapAsync } = GPUBuffer.prototype;
    GPUBuffer.prototype.mapAsync = async function (...args) {
      await pass();
      return mapAsync.apply(this, args);
    };
    const { onSubmittedWorkDone } = GPUQueue.prototype;
    GPUQueue.prototype.onSubmittedWorkDone = async function () {
      await pass();
      return onSubmittedWorkDone.call(this);
    };
  });
  return {
    passed: () => worker.evaluate(() => (globalThis as Gated).gate.passed),
    holdAfter: (waits) =>
      worker.evaluate((more) => {
        const { gate, shut } = globalThis as Gated & { shut(): Pick<Gate, "open" | "opened"> };
        const { open } = gate;
        Object.assign(gate, shut(), { limit: gate.passed + more });
        open();
      }, waits),
    held: () => expect.poll(() => worker.evaluate(() => (globalThis as Gated).gate.held)).toBeGreaterThan(0),
    release: () =>
      worker.evaluate(() => {
        const { gate } = globalThis as Gated;
        gate.limit = Number.POSITIVE_INFINITY;
        gate.open();
      }),
  };
}
