/** What a check of a checkpoint's files has found. */

/** What a finding is about; the known mistakes have a code each. */
export type FindingCode =
  | "opened"
  | "truncated"
  | "malformed"
  | "unreadable"
  | "missing-file"
  | "missing-part"
  | "missing-tensor"
  | "unexpected-tensor"
  | "wrong-shape"
  | "wrong-dtype"
  | "config"
  | "not-finite"
  | "scales-not-finite"
  | "beyond-f16"
  | "values"
  | "gptq-zeros"
  | "g-idx-missing"
  | "g-idx-order"
  | "awq-nibbles"
  | "gguf-rows"
  | "gguf-keys"
  | "tokenizer"
  | "certificate"
  | "far-from-original"
  | "other-network"
  | "compared";

export interface Finding {
  level: "ok" | "warning" | "error";
  code: FindingCode;
  /** A sentence. */
  message: string;
  /** Files, tensors or fields; names from the file are made fit to be shown. */
  where: string;
}

/** A linear layer beside the original's. */
export interface ComparedLayer {
  /** The original's name, without ".weight". */
  name: string;
  /** [out, in] */
  shape: [number, number];
  /** How the file holds it: "GPTQ 4-bit, groups of 64", "Q4_K", "F16". */
  stored: string;
  /** ‖W − Ŵ‖ / ‖W‖ */
  error: number;
  /** A scale that was divided out first, because the file has it in the layer before: "inputs" (per column), "outputs" (per row). */
  scaled: "inputs" | "outputs" | null;
}

export interface Verification {
  /** The folder's or the file's name. */
  label: string;
  /** What it is: "GPTQ 4-bit, groups of 64", "GGUF", … */
  title: string;
  tensors: number;
  /** Bytes of all tensors' data. */
  bytes: number;
  findings: Finding[];
  /** Null where there was no original to compare with. */
  layers: ComparedLayer[] | null;
  /** The original's name. */
  against: string | null;
  /** No finding is an error. */
  passed: boolean;
}
