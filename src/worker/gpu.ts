import { asQuantError } from "../errors";
import type { Ops } from "../ops/ops";

/** Milliseconds before the browser is asked again: a cancel is still answered within a second, and so is a page that gets no GPU. */
const pauses = [100, 300, 500];

/**
 * Opens a device. A browser whose GPU process has just crashed gives no adapter, or one that is gone before it gives a device, for as long as the next
 * process takes to start: it is asked again before it is believed. @throws QuantError as `open`, after the last try.
 */
export async function openPatiently(open: () => Promise<Ops>, waits: readonly number[] = pauses): Promise<Ops> {
  for (let tries = 0; ; tries++) {
    try {
      return await open();
    } catch (e) {
      const { code } = asQuantError(e);
      if (tries === waits.length || (code !== "no-webgpu" && code !== "device-lost")) throw e;
      await new Promise((resolve) => setTimeout(resolve, waits[tries]));
    }
  }
}
