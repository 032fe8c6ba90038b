import { asQuantError, throwIfCancelled } from "../errors";
import { Device, type Platform } from "./platform";
import { type Emit, neverFalling } from "./progress";

/** A lost device is opened again at most this often within this time. */
const recoveries = { most: 3, withinMs: 60_000 };

/** The one open device, and the next one after it was lost. */
export class Devices {
  private device: Device | null = null;
  /** When a device was lost, lately. */
  private readonly lostAt: number[] = [];

  /** @param onLost drops what lay on a lost device. */
  constructor(
    private readonly platform: Platform,
    private readonly onLost: () => void,
  ) {}

  /** Opens the device unless it is open. @throws QuantError `no-webgpu`. */
  async start(): Promise<Device> {
    this.device ??= await Device.open(this.platform);
    return this.device;
  }

  /** Bytes alive on the device now. */
  get liveBytes(): number {
    return this.device?.ops.liveBytes ?? 0;
  }

  close(): void {
    this.device?.ops.destroy();
    this.device = null;
  }

  /** Does work, and starts it over on a new device when its device is lost. */
  async recovering<T>(signal: AbortSignal, emit: Emit, work: (device: Device, emit: Emit) => Promise<T>): Promise<T> {
    const steady = neverFalling(emit);
    for (;;) {
      try {
        return await work(await this.start(), steady);
      } catch (e) {
        this.recover(e, "Starting over on a new one.", steady, signal);
      }
    }
  }

  /** Drops a lost device, so that a new one is opened. @throws `e` again where the device was not lost, or was lost too often. */
  recover(e: unknown, next: string, emit: Emit, signal: AbortSignal): void {
    const error = asQuantError(e);
    if (error.code !== "device-lost") throw e;
    throwIfCancelled(signal);
    const now = performance.now();
    while (this.lostAt.length && now - this.lostAt[0] > recoveries.withinMs) this.lostAt.shift();
    if (this.lostAt.length >= recoveries.most) throw e;
    this.lostAt.push(now);
    this.device = null;
    this.onLost();
    emit({ type: "log", level: "warning", message: `The GPU was lost (${error.where}). ${next}` });
  }
}
