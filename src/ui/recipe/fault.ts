import type { FlatError } from "../../errors";

/** The field that a plan's error is about, so that the sentence stands beside it. */
export function faultOf(error: FlatError | null): "groupSize" | "format" | "calibration" | "rules" | "other" | null {
  if (!error) return null;
  if (error.code === "group-size") return "groupSize";
  if (error.code === "bad-format") return "format";
  if (error.code === "bad-rule") return "rules";
  const aboutText = ["text-too-short", "bad-tokens", "bad-file", "bad-json", "bad-tokenizer", "missing-file"].includes(error.code);
  return aboutText ? "calibration" : "other";
}
