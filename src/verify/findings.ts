/** Collects what a check finds. Names from files are hostile and many: they are made fit to be shown, and only the first few are named. */
import { asQuantError, type ErrorCode } from "../errors";
import { shown, shownList } from "../io/text";
import type { Finding, FindingCode } from "../results/verification";

const namedAtMost = 5;

/** What the readers' errors are called here; all others are "unreadable". */
const byError: Partial<Record<ErrorCode, FindingCode>> = {
  truncated: "truncated",
  "bad-safetensors": "malformed",
  "header-too-large": "malformed",
  "bad-file": "malformed",
  "bad-json": "malformed",
  contradiction: "malformed",
  "bad-config": "config",
  "missing-file": "missing-file",
  "missing-tensor": "missing-tensor",
  "wrong-shape": "wrong-shape",
  "unsupported-dtype": "wrong-dtype",
  "non-finite-weights": "not-finite",
};

export class Findings {
  readonly list: Finding[] = [];
  /** Findings that many tensors share, by code and sentence, each with all of their names. */
  private readonly shared = new Map<string, { finding: Finding; names: string[] }>();

  add(level: Finding["level"], code: FindingCode, message: string, where = ""): void {
    this.list.push({ level, code, message, where: shown(where) });
  }

  /** One more tensor (or layer, or key) for a finding that is told once for all of them. */
  join(level: Finding["level"], code: FindingCode, message: string, name: string): void {
    const key = `${level} ${code} ${message}`;
    const known = this.shared.get(key);
    const names = known?.names ?? [];
    names.push(name);
    if (known) {
      known.finding.where = shownList(names, namedAtMost);
      return;
    }
    const finding: Finding = { level, code, message, where: shown(name) };
    this.list.push(finding);
    this.shared.set(key, { finding, names });
  }

  /** What a reader threw. A cancel, and faults that are not the file's, are thrown on. @param code instead of what the error's own says. */
  failed(cause: unknown, where: string, code?: FindingCode): void {
    const error = asQuantError(cause);
    if (error.about === "cancellation" || error.code === "internal" || error.code === "file-changed") throw cause;
    this.add("error", code ?? byError[error.code] ?? "unreadable", error.message, where);
  }

  has(code: FindingCode): boolean {
    return this.list.some((finding) => finding.code === code && finding.level !== "ok");
  }

  get passed(): boolean {
    return !this.list.some(({ level }) => level === "error");
  }
}
