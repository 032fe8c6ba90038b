/** Every way this program can fail, as the person sees it. A leaf: anyone may import it. */

/** What each code means, as the first half of the sentence; `where` and `hint` complete it. */
export const meanings = {
  "bad-argument": "This command line is not understood",
  "bad-recipe": "The recipe is not valid",
  "bad-rule": "A rule of the recipe does not fit this model",
  "bad-json": "This file is not valid JSON",
  "bad-config": "config.json does not describe a model that can be run",
  "unsupported-architecture": "This architecture is not supported",
  "missing-file": "A file is missing",
  "missing-tensor": "A tensor is missing from the checkpoint",
  contradiction: "The checkpoint contradicts itself",
  "bad-safetensors": "This safetensors file is malformed",
  "header-too-large": "The safetensors header is larger than 25 MB",
  truncated: "This file is shorter than its header says",
  "unsupported-dtype": "This data type cannot be quantized",
  "wrong-shape": "A tensor does not have the shape that config.json implies",
  "non-finite-weights": "The weights contain NaN or infinity",
  "non-finite-activations": "The activations became NaN or infinite",
  "scale-overflow": "A quantization scale is beyond the range of f16",
  "file-changed": "A file changed or vanished while it was being read",
  "bad-file": "This file cannot be read",
  "bad-tokenizer": "The tokenizer cannot be used",
  "text-too-short": "The text is too short",
  "bad-tokens": "The token ids do not fit the model",
  "group-size": "The group size does not fit",
  "bad-format": "This format cannot hold the result",
  "no-webgpu": "No WebGPU adapter is available",
  "gpu-limit": "This model needs more than the GPU allows",
  "gpu-out-of-memory": "The GPU is out of memory",
  "gpu-fault": "The GPU rejected a command",
  "device-lost": "The GPU was lost",
  "disk-full": "There is not enough room to write the result",
  "output-exists": "The output folder is not empty",
  "output-is-input": "The output folder is the model folder",
  "write-failed": "The result could not be written",
  "verify-failed": "The exported file does not read back as written",
  "worker-died": "The worker stopped unexpectedly",
  busy: "Another job is running",
  cancelled: "Cancelled",
  internal: "Something went wrong inside QEP Studio",
} as const;

export type ErrorCode = keyof typeof meanings;

/** What crosses the worker boundary: Comlink would keep only message, name and stack. */
export interface FlatError {
  code: ErrorCode;
  where: string;
  hint: string;
  message: string;
}

/** The only error class: what is wrong (code), where (file, tensor, block, with the figures) and what to do (hint). */
export class QuantError extends Error {
  override name = "QuantError";
  readonly code: ErrorCode;
  readonly where: string;
  readonly hint: string;

  constructor(code: ErrorCode, where = "", hint = "", options?: ErrorOptions) {
    const sentence = where ? `${meanings[code]}: ${where}.` : `${meanings[code]}.`;
    super(hint ? `${sentence} ${hint}` : sentence, options);
    this.code = code;
    this.where = where;
    this.hint = hint;
  }

  flat(): FlatError {
    return { code: this.code, where: this.where, hint: this.hint, message: this.message };
  }

  static fromFlat(e: FlatError): QuantError {
    return new QuantError(e.code, e.where, e.hint);
  }
}

/** Any thrown value as a QuantError; what is not one already becomes `internal` and keeps its cause. */
export function asQuantError(e: unknown): QuantError {
  if (e instanceof QuantError) return e;
  const message = e instanceof Error ? e.message : String(e);
  return new QuantError("internal", message, "Please report this with the steps that led here.", { cause: e });
}

/** Throws `cancelled` once the signal is aborted; every loop of the engine calls it. */
export function throwIfCancelled(signal?: AbortSignal): void {
  if (signal?.aborted) throw new QuantError("cancelled");
}
