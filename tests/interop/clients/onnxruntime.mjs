/**
 * Logits in onnxruntime: `node onnxruntime.mjs wasm|webgpu JOBS.json` prints, for each { folder, ids } of a JSON list, those after the last token, as JSON.
 * WebAssembly is onnxruntime-web's; WebGPU is the same kernels natively, in onnxruntime-node.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

const [provider, jobs] = process.argv.slice(2);
const ort = await import(provider === "wasm" ? "onnxruntime-web" : "onnxruntime-node");
ort.env.wasm.numThreads = 1;
ort.env.logLevel = "error";

/**
 * The graph of an export, with its data files.
 * @param {string} folder
 */
function sessionOf(folder) {
  const at = join(folder, "onnx");
  const files = readdirSync(at);
  const [graph] = files.filter((name) => name.endsWith(".onnx"));
  // In Node, onnxruntime finds the data beside the graph.
  if (provider !== "wasm") return ort.InferenceSession.create(join(at, graph), { executionProviders: [provider] });
  const externalData = files.filter((name) => name !== graph).map((path) => ({ path, data: readFileSync(join(at, path)) }));
  return ort.InferenceSession.create(readFileSync(join(at, graph)), { executionProviders: ["wasm"], externalData });
}

/** @param {number[]} values @param {number[]} shape */
const int64 = (values, shape) => new ort.Tensor("int64", BigInt64Array.from(values, BigInt), shape);

/**
 * The cache that `before` left, or an empty one.
 * @param {import("onnxruntime-common").InferenceSession} session
 * @param {import("onnxruntime-common").InferenceSession.ReturnType | null} before
 */
function cacheOf(session, before) {
  return session.inputMetadata.flatMap((input) => {
    if (!input.isTensor || !input.name.startsWith("past_key_values.")) return [];
    if (before) return [[input.name, before[input.name.replace("past_key_values", "present")]]];
    const [, heads, , size] = input.shape.map(Number);
    const data = input.type === "float16" ? new Uint16Array(0) : new Float32Array(0);
    return [[input.name, new ort.Tensor(input.type, data, [1, heads, 0, size])]];
  });
}

/** @param {import("onnxruntime-common").InferenceSession} session @param {number[]} ids */
async function lastLogits(session, ids) {
  // Half of them at once, the others one by one.
  const ends = ids.map((_, i) => i + 1).filter((end) => end >= ids.length / 2);
  let before = null;
  let start = 0;
  for (const end of ends) {
    before = await session.run({
      input_ids: int64(ids.slice(start, end), [1, end - start]),
      attention_mask: int64(new Array(end).fill(1), [1, end]),
      num_logits_to_keep: int64([1], []),
      ...Object.fromEntries(cacheOf(session, before)),
    });
    start = end;
  }
  return Array.from(before?.logits.data ?? [], Number);
}

/** @type {number[][]} */
const results = [];
for (const { folder, ids } of JSON.parse(readFileSync(jobs, "utf8"))) {
  const session = await sessionOf(folder);
  results.push(await lastLogits(session, ids));
  await session.release();
}
console.log(JSON.stringify(results));
