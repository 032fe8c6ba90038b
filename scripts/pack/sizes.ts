/** How large the measurements are: on a GPU as in the goals; on a software adapter, a thousand times as slow, as small as still says something. */
const llama7b = { hidden: 4096, intermediate: 11008, blocks: 1, heads: 32, vocabulary: 4096 };

export const hardware = {
  matmul: [1024, 2048, 4096],
  solve: { n: 2816, m: 1024 },
  cost: {
    size: { hidden: 2048, intermediate: 5632, blocks: 2, heads: 16, vocabulary: 4096 },
    windows: { windows: 16, length: 512 },
    rounds: 2,
  },
  slopes: {
    tokens: [4096, 8192, 16384],
    widths: [2048, 4096, 8192],
    fixed: { tokens: 4096, width: 4096 },
    depth: {
      size: { hidden: 1024, intermediate: 2816, blocks: 1, heads: 8, vocabulary: 4096 },
      windows: { windows: 8, length: 512 },
      blocks: [2, 4, 8],
    },
  },
  block: { name: "Llama-2-7B", size: llama7b, windows: { windows: 4, length: 512 } },
};

export const software: typeof hardware = {
  matmul: [256, 512],
  solve: { n: 352, m: 128 },
  cost: {
    size: { hidden: 128, intermediate: 384, blocks: 2, heads: 2, vocabulary: 256 },
    windows: { windows: 4, length: 128 },
    rounds: 1,
  },
  slopes: {
    tokens: [256, 512, 1024],
    widths: [128, 256, 384],
    fixed: { tokens: 256, width: 256 },
    depth: {
      size: { hidden: 128, intermediate: 384, blocks: 1, heads: 2, vocabulary: 256 },
      windows: { windows: 2, length: 128 },
      blocks: [1, 2, 4],
    },
  },
  block: {
    name: "an eighth of Llama-2-7B",
    size: { hidden: 512, intermediate: 1408, blocks: 1, heads: 4, vocabulary: 512 },
    windows: { windows: 4, length: 64 },
  },
};
