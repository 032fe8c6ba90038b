/** Every way this program can fail, as the person sees it. A leaf: anyone may import it. */

/** What each code means, as the first half of the sentence; `where` and `hint` complete it. */
export const meanings = {
  "bad-argument": "This command line cannot be understood",
  "bad-recipe": "The recipe is not valid",
  "bad-rule": "A rule of the recipe cannot be used",
  "bad-json": "This file is not valid JSON",
  "bad-config": "config.json does not describe a model that can be run",
  "unsupported-architecture": "This architecture is not supported",
  "quantized-already": "This checkpoint is quantized already",
  "not-a-checkpoint": "This is no checkpoint",
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
  "weight-overflow": "A weight is beyond the range of f16",
  "file-changed": "A file changed or vanished while it was being read",
  "bad-file": "This file cannot be read",
  "bad-tokenizer": "The tokenizer cannot be used",
  "bad-text": "This text cannot be read",
  "text-too-short": "The text is too short",
  "bad-tokens": "The token ids do not fit the model",
  "other-vocabulary": "The two checkpoints do not have the same tokens",
  "group-size": "The group size does not fit",
  "bad-format": "This format cannot hold the result",
  "no-webgpu": "No WebGPU adapter is available",
  "gpu-limit": "This model needs more than the GPU allows",
  "gpu-out-of-memory": "The GPU is out of memory",
  "gpu-fault": "The GPU rejected a command",
  "device-lost": "The GPU was lost",
  "disk-full": "There is not enough room to write the result",
  "output-exists": "The output folder is not empty",
  "run-exists": "An interrupted run is in the way",
  "other-run": "The interrupted run is a different one",
  "inputs-changed": "The checkpoint is not what it was when the run was interrupted",
  "output-is-input": "The output folder is the model folder",
  "write-failed": "The result could not be written",
  "verify-failed": "The exported file does not read back as written",
  "worker-died": "The worker stopped unexpectedly",
  busy: "Another job is running",
  cancelled: "Cancelled",
  internal: "Something went wrong inside QEP Studio",
} as const;

export type ErrorCode = keyof typeof meanings;

/** What an error is about. The exit code and the field that the page marks follow from it. */
export type Subject = "command" | "recipe" | "checkpoint" | "text" | "adapter" | "output" | "cancellation" | "ourselves";

/** "file": the subject is what the file was given as (checkpoint, text, …), which `givenAs` sets where the file is opened. */
const subjects: Record<ErrorCode, Subject | "file"> = {
  "bad-argument": "command",
  "bad-recipe": "recipe",
  "bad-rule": "recipe",
  "bad-json": "file",
  "bad-config": "checkpoint",
  "unsupported-architecture": "checkpoint",
  "quantized-already": "checkpoint",
  "not-a-checkpoint": "checkpoint",
  "missing-file": "file",
  "missing-tensor": "checkpoint",
  contradiction: "file",
  "bad-safetensors": "file",
  "header-too-large": "file",
  truncated: "file",
  "unsupported-dtype": "file",
  "wrong-shape": "checkpoint",
  "non-finite-weights": "checkpoint",
  "non-finite-activations": "checkpoint",
  "scale-overflow": "checkpoint",
  "weight-overflow": "checkpoint",
  "file-changed": "file",
  "bad-file": "file",
  "bad-tokenizer": "text",
  "bad-text": "text",
  "text-too-short": "text",
  "bad-tokens": "text",
  "other-vocabulary": "checkpoint",
  "group-size": "recipe",
  "bad-format": "recipe",
  "no-webgpu": "adapter",
  "gpu-limit": "adapter",
  "gpu-out-of-memory": "adapter",
  "gpu-fault": "adapter",
  "device-lost": "adapter",
  "disk-full": "output",
  "output-exists": "output",
  "run-exists": "output",
  "other-run": "output",
  "inputs-changed": "checkpoint",
  "output-is-input": "output",
  "write-failed": "output",
  "verify-failed": "output",
  "worker-died": "ourselves",
  busy: "ourselves",
  cancelled: "cancellation",
  internal: "ourselves",
};

/** A QuantError as it crosses the worker boundary: Comlink would keep only message, name and stack. */
export interface FlatError {
  code: ErrorCode;
  about: Subject;
  where: string;
  hint: string;
  message: string;
}

/** What a file can be given as. */
type Given = Extract<Subject, "recipe" | "checkpoint" | "text" | "output">;

interface QuantErrorOptions extends ErrorOptions {
  about?: Subject;
}

/** The only error class: what is wrong (code), what it is about, where (file, tensor, block, with the figures) and what to do (hint). */
export class QuantError extends Error {
  override name = "QuantError";
  readonly code: ErrorCode;
  readonly where: string;
  readonly hint: string;
  private readonly given: Subject | undefined;

  constructor(code: ErrorCode, where = "", hint = "", options?: QuantErrorOptions) {
    const sentence = where ? `${meanings[code]}: ${where}.` : `${meanings[code]}.`;
    super(hint ? `${sentence} ${hint}` : sentence, options);
    this.code = code;
    this.where = where;
    this.hint = hint;
    this.given = options?.about;
  }

  /** A file belongs to the checkpoint unless it was given as something else. */
  get about(): Subject {
    const fixed = subjects[this.code];
    return fixed === "file" ? (this.given ?? "checkpoint") : fixed;
  }

  /** The same error, with `about` as what its file was given as. Unchanged if that was set before, or if the code alone fixes the subject. */
  of(about: Given): QuantError {
    if (this.given !== undefined || subjects[this.code] !== "file") return this;
    const placed = new QuantError(this.code, this.where, this.hint, { cause: this.cause, about });
    placed.stack = this.stack;
    return placed;
  }

  flat(): FlatError {
    return { code: this.code, about: this.about, where: this.where, hint: this.hint, message: this.message };
  }

  static fromFlat(e: FlatError): QuantError {
    return new QuantError(e.code, e.where, e.hint, { about: e.about });
  }
}

/** Runs `work` on a file that was given as `about`, so that the errors it throws about the file name that subject. */
export async function givenAs<T>(about: Given, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (e) {
    throw e instanceof QuantError ? e.of(about) : e;
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

/** A call that breaks its own contract: our bug, never the person's. */
export const misuse = (what: string): QuantError => new QuantError("internal", what, "Please report this with the steps that led here.");
