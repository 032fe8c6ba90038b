/** Logits of onnxruntime-web's WebAssembly: `node onnxruntime-web.mjs JOBS.json` prints, for each { folder, ids }, those of the last token, as JSON. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import * as ort from "onnxruntime-web";

ort.env.wasm.numThreads = 1;
ort.env.logLevel = "error";

/**
 * The graph of an export, with its data files.
 * @param {string} folder
 */
async function sessionOf(folder) {
  const at = join(folder, "onnx");
  const files = readdirSync(at);
  const externalData = files.filter((name) => !name.endsWith(".onnx")).map((path) => ({ path, data: readFileSync(join(at, path)) }));
  const [graph] = files.filter((name) => name.endsWith(".onnx"));
  return ort.InferenceSession.create(readFileSync(join(at, graph)), { executionProviders: ["wasm"], externalData });
}

/** @param {number[]} values @param {number[]} shape */
const int64 = (values, shape) => new ort.Tensor("int64", BigInt64Array.from(values, BigInt), shape);

/** No past. @param {ort.InferenceSession} session */
function emptyCache(session) {
  return session.inputMetadata.flatMap((input) => {
    if (!input.isTensor || !input.name.startsWith("past_key_values.")) return [];
    const [, heads, , size] = input.shape.map(Number);
    const data = input.type === "float16" ? new Uint16Array(0) : new Float32Array(0);
    return [[input.name, new ort.Tensor(input.type, data, [1, heads, 0, size])]];
  });
}

/** @type {number[][]} */
const results = [];
for (const { folder, ids } of JSON.parse(readFileSync(process.argv[2], "utf8"))) {
  const session = await sessionOf(folder);
  const { logits } = await session.run({
    input_ids: int64(ids, [1, ids.length]),
    attention_mask: int64(
      ids.map(() => 1),
      [1, ids.length],
    ),
    num_logits_to_keep: int64([1], []),
    ...Object.fromEntries(emptyCache(session)),
  });
  results.push(Array.from(logits.data, Number));
  await session.release();
}
console.log(JSON.stringify(results));
