/** Numbers, names and tables as docs/results.md shows them. */

export const percent = (x: number, digits = 1): string => `${(100 * x).toFixed(digits)} %`;

export const signed = (x: number, digits: number): string => `${x < 0 ? "−" : "+"}${Math.abs(x).toFixed(digits)}`;

/** Three figures, with a power of ten where the plain number would be long. */
export function short(x: number): string {
  if (x >= 1e-3 && x < 1e3) return x.toPrecision(3);
  const [mantissa, exponent] = x.toExponential(2).split("e");
  return `${mantissa}e${Number(exponent)}`;
}

const words: Record<string, string> = { act: "act-order", qep: "+ QEP", full: "(α 1)", damp1: "(damping 1)", first10: "first 10 blocks" };

/** "gptq-4-g32-sym-qep" as "GPTQ 4-bit g32 sym + QEP". */
export function label(name: string): string {
  const [method, bits, ...rest] = name.split("-");
  return [method.toUpperCase().replace("QUIP", "QuIP"), `${bits}-bit`, ...rest.map((word) => words[word] ?? word)].join(" ");
}

/** "a", "a and b", "a, b and c". */
export function list(items: readonly string[]): string {
  return items.length < 2 ? items.join("") : `${items.slice(0, -1).join(", ")} and ${items.at(-1)}`;
}

/** Columns from `numbers` on are aligned right. */
export function table(head: readonly string[], rows: readonly (readonly string[])[], numbers = 1): string {
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  const rule = head.map((_, i) => (i < numbers ? "---" : "---:"));
  return [line(head), line(rule), ...rows.map(line)].join("\n");
}
