import type { ErrorCode, FlatError, Subject } from "../../errors";

export type MarkedField = "groupSize" | "format" | "calibration" | "rules" | "other";

/** The fields that errors of these codes are about, whatever their subject. */
const byCode: Partial<Record<ErrorCode, MarkedField>> = { "group-size": "groupSize", "bad-format": "format", "bad-rule": "rules" };

const bySubject: Record<Subject, MarkedField> = {
  command: "other",
  recipe: "other",
  checkpoint: "other",
  text: "calibration",
  adapter: "other",
  output: "other",
  cancellation: "other",
  ourselves: "other",
};

/** The field that a plan's error is about, so that the error is shown beside it. */
export const faultOf = (error: FlatError | null): MarkedField | null => error && (byCode[error.code] ?? bySubject[error.about]);
