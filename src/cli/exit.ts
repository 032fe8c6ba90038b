import type { Subject } from "../errors";

/** Exit codes of the command line (docs/cli.md). `unsound`: what `verify` looked at. 130 is the shell's own for an interrupt. */
export const exits = { ok: 0, internal: 1, usage: 2, checkpoint: 3, text: 4, gpu: 5, output: 6, unsound: 7, interrupted: 130 } as const;

/** The exit code for each subject of an error. */
export const exitOf: Record<Subject, number> = {
  command: exits.usage,
  recipe: exits.usage,
  checkpoint: exits.checkpoint,
  text: exits.text,
  adapter: exits.gpu,
  output: exits.output,
  cancellation: exits.interrupted,
  ourselves: exits.internal,
};
