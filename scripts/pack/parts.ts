/** What the pack runs, in order. A part is one process. */
import type { Part } from "./schedule";

/** The oracle's recipes that are compared whole. */
export const recipes = ["rtn-3", "gptq-3-qep", "awq-4-g64", "quip-3"];

const bench = {
  matmul: "matmul rates",
  solve: "QEP's solve",
  cost: "QEP's cost",
  slopes: "log-log slopes",
};

/** @param tests names of the bundled kernel tests. */
export const partsOf = (tests: readonly string[]): Part[] => [
  { name: "facts", title: "adapter", share: 0.5 },
  ...tests.map((test) => ({ name: `tests/${test}`, title: `kernel tests ${test}`, share: 0.2 })),
  ...recipes.map((recipe) => ({ name: `conformance/${recipe}`, title: `conformance ${recipe}`, share: 0.4 })),
  ...Object.entries(bench).map(([name, title]) => ({ name: `bench/${name}`, title, share: 0.4 })),
  { name: "block", title: "a block of Llama-2-7B's shape", share: 1 },
];
