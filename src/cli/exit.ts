import type { ErrorCode } from "../errors";

/** Exit codes of the command line (docs/cli.md). 130 is the shell's own for an interrupt. */
export const exits = { ok: 0, internal: 1, usage: 2, checkpoint: 3, text: 4, gpu: 5, output: 6, interrupted: 130 } as const;

const byCode: Partial<Record<ErrorCode, number>> = {
  "bad-argument": exits.usage,
  "bad-recipe": exits.usage,
  "bad-rule": exits.usage,
  "group-size": exits.usage,
  "bad-format": exits.usage,
  "text-too-short": exits.text,
  "bad-tokens": exits.text,
  "bad-tokenizer": exits.text,
  "no-webgpu": exits.gpu,
  "gpu-limit": exits.gpu,
  "gpu-out-of-memory": exits.gpu,
  "gpu-fault": exits.gpu,
  "device-lost": exits.gpu,
  "disk-full": exits.output,
  "output-exists": exits.output,
  "output-is-input": exits.output,
  "write-failed": exits.output,
  "verify-failed": exits.output,
  cancelled: exits.interrupted,
  internal: exits.internal,
  "worker-died": exits.internal,
  busy: exits.internal,
};

/** Whatever is not about usage, text, GPU or output is about the checkpoint. */
export const exitCodeOf = (code: ErrorCode): number => byCode[code] ?? exits.checkpoint;
