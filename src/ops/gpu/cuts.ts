import { between, boundaries, isCut, type RowRange } from "./panels";
import type { Product, View } from "./product";

/** The view moved by so many rows and columns. */
const moved = (v: View, rows: number, columns: number): View => ({ ...v, row: (v.row ?? 0) + rows, column: (v.column ?? 0) + columns });

const rowCuts = ({ tensor, row = 0 }: View, rows: number): number[] => boundaries(tensor, row, row + rows);

/** Where k is cut by the panels whose rows it counts. */
export function depthCuts({ form, a, b, k }: Product): number[] {
  if (form === "NT") return [];
  return [...rowCuts(b, k), ...(form === "TN" ? rowCuts(a, k) : [])];
}

/** The same product in parts of C of which each takes its rows of A, C and D, and of B where they are columns of C, from one panel. */
export function* pieces(x: Product): Generator<Product> {
  const { form, m, n, k, a, b, c, add, part } = x;
  const d = typeof add === "object" ? add : null;
  if (![a, b, c, ...(d ? [d] : [])].some(({ tensor }) => isCut(tensor))) {
    yield x;
    return;
  }
  let down = [...rowCuts(c, m), ...(d ? rowCuts(d, m) : []), ...(form === "TN" ? [] : rowCuts(a, m))];
  let across = form === "NT" ? rowCuts(b, n) : [];
  // A triangle is cut into squares along its diagonal, and rectangles.
  if (part === "lower") down = across = [...down, ...across];
  if (part === "lower-b") across = [...across, ...depthCuts(x)];
  for (const rows of between(down, m))
    for (const columns of between(across, n)) {
      const piece = { ...x, ...corner(x, rows, columns) };
      if (part === "lower" && columns.first > rows.first) continue;
      if (part === "lower" && columns.first < rows.first) piece.part = "all";
      if (part === "lower-a" && rows.first > 0) piece.part = "all";
      if (part === "lower-a") piece.k = Math.min(k, rows.first + rows.count);
      if (part === "upper-b") piece.k = Math.min(k, columns.first + columns.count);
      if (part === "upper-b" && columns.first > 0) piece.part = "all";
      yield part === "lower-b" ? below(piece, columns.first) : piece;
    }
}

/** The part of a product that gives some rows and columns of C. */
function corner({ form, a, b, c, add }: Product, rows: RowRange, columns: RowRange): Partial<Product> {
  const [i, j] = [rows.first, columns.first];
  return {
    m: rows.count,
    n: columns.count,
    a: form === "TN" ? moved(a, 0, i) : moved(a, i, 0),
    b: form === "NT" ? moved(b, j, 0) : moved(b, 0, j),
    c: moved(c, i, j),
    add: typeof add === "object" ? moved(add, i, j) : add,
  };
}

/** Without the first rows of B, which are zero in these columns. */
const below = (x: Product, rows: number): Product => ({
  ...{ ...x, k: x.k - rows, a: moved(x.a, 0, rows) },
  b: x.form === "NT" ? moved(x.b, 0, rows) : moved(x.b, rows, 0),
});

/** A product as products that follow each other in k: each goes on from the sum so far, the last one applies `alpha` and adds D. */
export function* inDepth(x: Product, cuts: readonly number[]): Generator<Product> {
  for (const { first, count } of between(cuts, x.k)) {
    const last = first + count === x.k;
    yield {
      ...x,
      k: count,
      a: x.form === "TN" ? moved(x.a, first, 0) : moved(x.a, 0, first),
      b: moved(x.b, first, 0),
      add: last ? x.add : undefined,
      alpha: last ? x.alpha : 1,
      goesOn: first > 0,
      part: first > 0 && (x.part === "lower-b" || x.part === "upper-b") ? "all" : x.part,
    };
  }
}
