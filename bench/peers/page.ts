/** The page of `npm run bench -- --only matmul`: all libraries side by side. bench/matmul.page.ts calls what it puts on `window`. */
import { differs, values } from "../../scripts/pack/check";
import { fmaRate } from "../../scripts/pack/fma";
import { type Library, type Multiply, type Outcome, open, type Shape } from "./libraries";

/** Milliseconds by library, a number for each round. */
export type Times = Record<string, number[]>;

/** Entries looked at, at uneven distances, of every product that was timed. */
const sampled = 256;

function wrongEntry({ m, k, n }: Shape, a: Float32Array, b: Float32Array, y: Float32Array): string | null {
  if (y.length !== m * n) return `${y.length} entries, not ${m * n}`;
  for (let s = 0; s < sampled; s++) {
    const at = s === 0 ? m * n - 1 : (s * 104729) % (m * n);
    const [row, column] = [Math.floor(at / n), at % n];
    const wrong = differs(y[at], k, (i) => a[row * k + i] * b[i * n + column]);
    if (wrong) return `entry ${row}, ${column} ${wrong}`;
  }
  return null;
}

/** One round to compile and warm up, then so many, the libraries in turn; all products are looked at when all is timed. */
async function compare(libraries: readonly Library[], shape: Shape, rounds: number): Promise<Times> {
  const { m, k, n } = shape;
  const [a, b] = [values(1, [m, k]), values(2, [k, n])];
  const ready: [string, Multiply][] = [];
  for (const library of libraries) ready.push([library.name, await library.prepare(shape, a, b)]);
  const times: Times = Object.fromEntries(ready.map(([name]) => [name, []]));
  const outcomes: [string, Outcome][] = [];
  for (let round = -1; round < rounds; round++) {
    for (const [name, multiply] of ready) {
      const started = performance.now();
      outcomes.push([name, await multiply()]);
      if (round >= 0) times[name].push(performance.now() - started);
    }
  }
  for (const [name, outcome] of outcomes) {
    const wrong = wrongEntry(shape, a, b, await outcome.read());
    if (wrong) throw new Error(`${name}, ${m} × ${k} × ${n}: ${wrong}`);
    outcome.free();
  }
  return times;
}

const { ops, libraries } = await open();
export const bench = {
  adapter: ops.adapter.description,
  compare: (shape: Shape, rounds: number) => compare(libraries, shape, rounds),
  fmaRate: () => fmaRate(ops),
};
Object.assign(window, { bench });
