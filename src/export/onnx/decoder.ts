/**
 * The whole network as a graph with a cache of keys and values, as onnxruntime-genai lays it out and transformers.js runs it: GroupQueryAttention rotates,
 * attends and extends the cache; quantized layers are MatMulNBits.
 */
import { QuantError } from "../../errors";
import { embeddingName, finalNormName, headName, layerName, normNames } from "../../model/layers";
import type { ModelSpec } from "../../model/spec";
import type { LayerPlan } from "../../quant/layer-plan";
import type { LayerKind } from "../../recipe/recipe";
import type { ExportJob } from "../formats/format";
import { type Float, matrixEntry, ropeEntry, vectorEntry } from "./floats";
import { float as floatOf, GraphBuilder, int, microsoft } from "./graph";
import { blocksOf, layerEntries } from "./matmul-nbits";
import { dataType } from "./proto";

/** GroupQueryAttention rotates heads of multiples of this only. */
const headUnit = 16;
/** An end beyond every sequence. */
const everything = 2n ** 63n - 1n;

/** A run's export as a graph, which computes in `float`. @throws QuantError `bad-format` where the operators cannot hold the model. */
export function decoderOf(job: ExportJob, float: Float): GraphBuilder {
  const spec = job.model.spec!;
  if (spec.headDim % headUnit)
    throw new QuantError(
      "bad-format",
      `onnxruntime's attention takes heads of a multiple of ${headUnit} values, and this model's have ${spec.headDim}`,
      "Use another format.",
    );
  return new Decoder(job, spec, float).graph;
}

class Decoder {
  readonly graph = new GraphBuilder();
  private readonly planned: ReadonlyMap<string, LayerPlan>;
  /** Matrices as the graph computes with them, by tensor name. */
  private readonly matrices = new Map<string, string>();
  /** The inputs that every attention shares. */
  private readonly shared: readonly string[];

  constructor(
    private readonly job: ExportJob,
    private readonly spec: ModelSpec,
    private readonly float: Float,
  ) {
    const { graph: g } = this;
    this.planned = new Map(job.plan.layers.map((layer) => [layer.name, layer]));
    this.declareInputs();
    let h = g.op("Gather", [this.matrix(embeddingName), "input_ids"], "embeddings", { axis: int(0) });
    this.shared = this.attentionInputs();
    for (let m = 0; m < spec.blocks; m++) h = this.block(m, h);
    this.head(h);
  }

  private declareInputs(): void {
    const { graph: g, spec, float } = this;
    g.inputs.push({ name: "input_ids", dtype: "I64", shape: ["batch_size", "sequence_length"] });
    g.inputs.push({ name: "attention_mask", dtype: "I64", shape: ["batch_size", "total_sequence_length"] });
    // Of the last so many tokens; 0 means all. A whole prompt's logits would take gigabytes.
    g.inputs.push({ name: "num_logits_to_keep", dtype: "I64", shape: [] });
    g.outputs.push({ name: "logits", dtype: "F32", shape: ["batch_size", "logits_length", spec.vocabulary] });
    for (let m = 0; m < spec.blocks; m++)
      for (const what of ["key", "value"]) {
        const shape = (length: string) => ["batch_size", spec.kvHeads, length, spec.headDim];
        g.inputs.push({ name: `past_key_values.${m}.${what}`, dtype: float, shape: shape("past_sequence_length") });
        g.outputs.push({ name: `present.${m}.${what}`, dtype: float, shape: shape("total_sequence_length") });
      }
  }

  /** The last position of each sequence, the length of the longest, and the rotary tables. */
  private attentionInputs(): string[] {
    const { graph: g } = this;
    const counts = g.op("ReduceSum", ["attention_mask", g.constant([1])], "token_counts", { keepdims: int(0) });
    const last = g.op("Sub", [counts, g.constant([1])], "last_positions");
    const length = g.op("Gather", [g.op("Shape", ["attention_mask"], "mask_shape"), g.constant(1)], "total_length", { axis: int(0) });
    const toI32 = (name: string) => g.op("Cast", [name], `${name}/I32`, { to: int(dataType("I32")) });
    return [toI32(last), toI32(length), ...(["cos", "sin"] as const).map((which) => g.tensor(ropeEntry(this.spec, which, this.float)))];
  }

  private block(m: number, h: string): string {
    const { graph: g } = this;
    const names = normNames(m);
    const mixed = this.attention(m, this.norm(h, names.input));
    const middle = g.op("Add", [h, this.linear(m, "o_proj", mixed)], `blocks.${m}/middle`);
    const x = this.norm(middle, names.postAttention);
    const gate = this.linear(m, "gate_proj", x);
    const silu = g.op("Mul", [gate, g.op("Sigmoid", [gate], `blocks.${m}/sigmoid`)], `blocks.${m}/silu`);
    const product = g.op("Mul", [silu, this.linear(m, "up_proj", x)], `blocks.${m}/product`);
    return g.op("Add", [middle, this.linear(m, "down_proj", product)], `blocks.${m}/output`);
  }

  private attention(m: number, x: string): string {
    const { graph: g, spec } = this;
    const { heads, kvHeads, headDim } = spec;
    const names = normNames(m);
    const q = this.linear(m, "q_proj", x);
    const k = this.linear(m, "k_proj", x);
    const v = this.linear(m, "v_proj", x);
    const [nq, nk] = spec.qkNorm ? [this.headNorm(q, heads, names.q), this.headNorm(k, kvHeads, names.k)] : [q, k];
    const window = spec.slidingWindows[m];
    return g.op(
      "GroupQueryAttention",
      [nq, nk, v, `past_key_values.${m}.key`, `past_key_values.${m}.value`, ...this.shared],
      [`blocks.${m}/attention`, `present.${m}.key`, `present.${m}.value`],
      {
        num_heads: int(heads),
        kv_num_heads: int(kvHeads),
        scale: floatOf(1 / Math.sqrt(headDim)),
        do_rotary: int(1),
        rotary_interleaved: int(0),
        // Tokens that a token sees, itself included, as transformers counts them too.
        ...(window > 0 ? { local_window_size: int(window) } : {}),
      },
      microsoft,
    );
  }

  /** Logits of the last tokens. */
  private head(h: string): void {
    const { graph: g, spec } = this;
    const start = g.op("Reshape", [g.op("Neg", ["num_logits_to_keep"], "minus_kept"), g.constant([1])], "first_kept");
    const kept = g.op("Slice", [h, start, g.constant([everything]), g.constant([1])], "kept");
    const x = this.norm(kept, finalNormName);
    const weight = spec.tied ? embeddingName : headName;
    if (this.float === "F32") this.product(x, weight, [spec.vocabulary, spec.hidden], "logits");
    else g.op("Cast", [this.product(x, weight, [spec.vocabulary, spec.hidden], "logits/F16")], "logits", { to: int(dataType("F32")) });
  }

  /** Root mean square norm; onnxruntime keeps this operator in ONNX's own domain. */
  private norm(x: string, name: string, output = name.replace(/\.weight$/, "/output")): string {
    const weight = this.graph.tensor(vectorEntry(this.job, name, this.float));
    const attributes = { axis: int(-1), epsilon: floatOf(this.spec.eps), stash_type: int(1) };
    return this.graph.op("SimplifiedLayerNormalization", [x, weight], output, attributes);
  }

  /** The norm of every head by itself. */
  private headNorm(x: string, heads: number, name: string): string {
    const { graph: g, spec } = this;
    const split = g.op("Reshape", [x, g.constant([0, 0, heads, spec.headDim])], `${x}/heads`);
    return g.op("Reshape", [this.norm(split, name), g.constant([0, 0, heads * spec.headDim])], `${x}/normalized`);
  }

  /** A linear layer with its bias, quantized or not. */
  private linear(m: number, kind: LayerKind, x: string): string {
    const { graph: g, job, float } = this;
    const name = layerName(m, kind);
    const plan = this.planned.get(name);
    const y = plan ? this.quantized(plan, x) : this.dense(name, x);
    if (!this.spec.biases.has(kind)) return y;
    return g.op("Add", [y, g.tensor(vectorEntry(job, `${name}.bias`, float))], `${name}/biased`);
  }

  private quantized(plan: LayerPlan, x: string): string {
    const { graph: g } = this;
    const blocks = blocksOf(plan);
    const tensors = layerEntries(plan, blocks, this.float).map((entry) => g.tensor(entry));
    const attributes = { K: int(plan.shape[1]), N: int(plan.shape[0]), bits: int(blocks.bits), block_size: int(blocks.size) };
    return g.op("MatMulNBits", [x, ...tensors], `${plan.name}/output`, attributes, microsoft);
  }

  private dense(name: string, x: string): string {
    const { shape } = this.job.model.layers.find((layer) => layer.name === name)!;
    return this.product(x, `${name}.weight`, shape, `${name}/output`);
  }

  /** x·Wᵀ for W [out, in] as it is in the source. Gemm, because MatMul would need it transposed, and a tied head a second time; but it takes matrices only. */
  private product(x: string, weight: string, [out, n]: readonly [number, number], output: string): string {
    const { graph: g } = this;
    const rows = g.op("Reshape", [x, g.constant([-1, n])], `${output}/inputs`);
    const y = g.op("Gemm", [rows, this.matrix(weight)], `${output}/rows`, { transB: int(1) });
    const batch = g.op("Shape", ["input_ids"], `${output}/batch`, { start: int(0), end: int(1) });
    const shape = g.op("Concat", [batch, g.constant([-1]), g.constant([out])], `${output}/shape`, { axis: int(0) });
    return g.op("Reshape", [y, shape], output);
  }

  /** A matrix in the type that the graph computes in: onnxruntime converts it once, when it loads the model. */
  private matrix(name: string): string {
    const known = this.matrices.get(name);
    if (known) return known;
    const { graph: g, float } = this;
    const entry = matrixEntry(this.job, name, float);
    g.tensor(entry);
    const made = entry.spec.dtype === float ? name : g.op("Cast", [name], `${name}/${float}`, { to: int(dataType(float)) });
    this.matrices.set(name, made);
    return made;
  }
}
