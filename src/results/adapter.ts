/** What people and reports see of the device that computes. */
export interface AdapterFacts {
  kind: "cpu" | "gpu";
  description: string;
  /** A software adapter: correct, slow. */
  software: boolean;
  /** Bytes that one buffer may hold, and one binding of it; null on the reference. */
  limits: { buffer: number; binding: number } | null;
}

/** The least GPU memory that a person may allow, in bytes: of less, too much would be lost to rounding of buffers. */
export const leastGpuMemory = 64 * 2 ** 20;
