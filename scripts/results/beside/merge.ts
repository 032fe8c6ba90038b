/** Rows of an earlier build beside those of a later one: a whole comparison takes days on a software adapter, and a build lives for hours. */
import { fileTypes, ways } from "./plan";
import type { Beside, Scored } from "./types";

const isSame = (a: Scored, b: Scored): boolean => a.type === b.type && a.method === b.method;
const comparable = ({ calibration, evaluation, versions, original }: Beside): string =>
  JSON.stringify([calibration, evaluation, versions, original]);

/** What is new, and of what was before it the rows that nothing new replaces; none of them if data or llama.cpp were others. */
export function withRowsOf(before: Beside, now: Beside): Beside {
  if (comparable(before) !== comparable(now)) return now;
  const kept = before.rows.filter((row) => !now.rows.some((other) => isSame(row, other)));
  return { ...now, rows: [...now.rows, ...kept].sort((a, b) => placeOf(a) - placeOf(b)) };
}

/** By type, then by way; ways of former times last. */
function placeOf({ type, method }: Scored): number {
  const names = Object.keys(ways);
  const way = names.indexOf(method);
  return Object.keys(fileTypes).indexOf(type) * (names.length + 1) + (way < 0 ? names.length : way);
}
