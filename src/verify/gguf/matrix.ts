import type { Place } from "../../export/gguf/places";
import { interleaved } from "../../export/gguf/row-order";
import type { AnyTensor } from "../../reopen/gguf/parts";
import { moved, type Rows } from "../../reopen/rows";
import type { Matrix, Reading } from "../matrix";

/** A tensor as a layer in the original's order of rows. @param headDim the original's. @param rows as they lie in the file. */
export function ggufMatrix(place: Place, headDim: number, { type, shape }: Pick<AnyTensor, "type" | "shape">, rows: Rows): Matrix {
  const layer = place.source.replace(/\.weight$/, "");
  // llama.cpp expects the rows of each head interleaved.
  const isTurned = place.headDim !== undefined;
  const hasHeads = /\.(q|k)_proj$/.test(layer) && shape[0] % headDim === 0 && headDim % 2 === 0;
  const n = shape[1];
  return {
    name: layer,
    shape: [shape[0], n],
    stored: type,
    unit: hasHeads ? headDim : 1,
    rows: isTurned ? moved(rows, n, (r) => interleaved(r, headDim)) : rows,
    readings: hasHeads ? (isTurned ? turnedReadings(rows, n, headDim) : straightReadings(rows, n, headDim)) : [],
  };
}

function turnedReadings(rows: Rows, n: number, headDim: number): Reading[] {
  return [
    {
      code: "gguf-rows",
      how: "the rows of q and k as Hugging Face has them",
      means: "they were not permuted, as llama.cpp needs them in this architecture.",
      rows,
    },
    {
      code: "gguf-rows",
      how: "the rows of q and k permuted the other way",
      means: "they were permuted backwards.",
      rows: moved(rows, n, inverse(headDim)),
    },
    {
      code: "gguf-rows",
      how: "the rows of q and k permuted twice",
      means: "they were permuted two times.",
      rows: moved(rows, n, (r) => interleaved(interleaved(r, headDim), headDim)),
    },
  ];
}

const straightReadings = (rows: Rows, n: number, headDim: number): Reading[] => [
  {
    code: "gguf-rows",
    how: "the permutation of q and k undone",
    means: "their rows were permuted, though llama.cpp takes them as they are in this architecture.",
    rows: moved(rows, n, (r) => interleaved(r, headDim)),
  },
];

/** The row whose `interleaved` is r. */
function inverse(headDim: number): (r: number) => number {
  const back = new Uint32Array(headDim);
  for (let r = 0; r < headDim; r++) back[interleaved(r, headDim)] = r;
  return (r) => r - (r % headDim) + back[r % headDim];
}
