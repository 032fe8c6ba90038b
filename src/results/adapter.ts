/** What people and reports see of the device that computes. */
export interface AdapterFacts {
  kind: "cpu" | "gpu";
  description: string;
  /** A software adapter: correct, slow. */
  software: boolean;
  /** Bytes that one buffer may hold, and one binding of it; null on the reference. */
  limits: { buffer: number; binding: number } | null;
}
