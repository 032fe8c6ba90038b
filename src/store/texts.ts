/** Which text the person chose, for calibration or evaluation. */
import { QuantError } from "../errors";
import type { TextSource } from "../worker/protocol";

/** The choice in one text chooser. */
export interface TextChoice {
  kind: "demo" | "file" | "pasted" | "kept";
  /** Kept while another kind is chosen, so that coming back loses nothing. */
  file: File | null;
  /** The field that holds the text, where the person named it. */
  field?: string;
  pasted: string;
  /** An earlier run whose text is not at hand, but whose windows are kept with it. */
  kept?: { runId: string; label: string; digest: string };
}

export const demoText: TextChoice = { kind: "demo", file: null, pasted: "" };

/** @throws QuantError when the choice is not complete yet. */
export function sourceOf(choice: TextChoice): TextSource {
  if (choice.kind === "demo") return { kind: "demo" };
  if (choice.kept) return { kind: "run", runId: choice.kept.runId };
  if (choice.kind === "file") {
    if (!choice.file) throw new QuantError("missing-file", "no text file is chosen yet", "Choose one, or take the demo text.");
    return { kind: "file", file: choice.file, field: choice.field?.trim() || undefined };
  }
  if (!choice.pasted.trim()) throw new QuantError("text-too-short", "nothing is pasted yet", "Paste some text, or take the demo text.");
  return { kind: "text", text: choice.pasted };
}

/** Sent for a model that can only be rounded, where nothing is calibrated. */
export const noText: TextSource = { kind: "text", text: "" };

export function textLabel(choice: TextChoice, use: "calibration" | "evaluation"): string {
  if (choice.kind === "demo") return `demo ${use} text`;
  if (choice.kept) return choice.kept.label;
  return choice.kind === "file" ? (choice.file?.name ?? "no file") : "pasted text";
}

/** Equal for two choices of the same text. */
export function textKey(choice: TextChoice): string {
  if (choice.kind === "demo") return "demo";
  if (choice.kept) return `kept:${choice.kept.digest}`;
  if (choice.kind === "pasted") return `pasted:${choice.pasted}`;
  return `file:${choice.file?.name}:${choice.file?.size}:${choice.file?.lastModified}:${choice.field?.trim() ?? ""}`;
}
