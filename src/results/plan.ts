/** What a run would take and give, before it starts. */
export interface PlanSummary {
  /** Bytes of the checkpoint and of the file that would be written. */
  bytesIn: number;
  bytesOut: number;
  /** Bits per quantized weight with its share of scales and zeros, as a packed format stores it. */
  bitsPerWeight: number;
  quantizedWeights: number;
  tokens: number;
  windows: number;
  /** Further windows, kept out of calibration to choose α on. */
  heldOutWindows: number;
  peakGpuBytes: number;
  /** The most main memory that the run's data takes: activations that find no room on the GPU, weights as they are read, a block's codes. */
  peakHostBytes: number;
  /** The most that the run takes on disk, or in the browser's storage, until it is exported; 0 where all of it stays in memory. */
  scratchBytes: number;
  /** Estimate from this adapter's measured rate. */
  seconds: number;
  /** True when this run can reuse the full-precision stream that an earlier run recorded. */
  streamKept: boolean;
  warnings: string[];
  /** Which clients load the export and which refuse it. */
  notes: string[];
}
