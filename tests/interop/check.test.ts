/** The check itself: what is whole passes it, and whatever is broken on purpose does not. */
import { cpSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { figures } from "../support/demo";
import { type Job, startClients } from "../support/python";
import { halves, type Parts, patched, sharded, words } from "./patch";
import { demo, madeModel, perplexityOf, quantize, type Subject } from "./studio";

const folder = mkdtempSync(join(tmpdir(), "qep-check-"));
const clients = startClients();
let copies = 0;
/** A new place for a copy. */
const place = () => join(folder, `copy-${copies++}`);
afterAll(() => {
  clients.stop();
  rmSync(folder, { recursive: true, force: true });
});

describe("dense checkpoints", () => {
  const second = "model-00002-of-00002.safetensors";
  const index = "model.safetensors.index.json";
  const check = (path: string) => clients.check({ export: path, tokens: demo.evaluation, dtype: "float32" });
  const copy = () => {
    const path = place();
    cpSync(demo.folder, path, { recursive: true });
    return path;
  };

  it("finds the oracle's perplexity for the untouched demo", async () => {
    const report = await check(demo.folder);
    expect(report).toMatchObject({ exit: 0, files: 2, dtypes: ["bfloat16"] });
    expect(report.perplexity).toBeCloseTo(figures["rtn-4"].perplexityBefore, 3);
  });

  it("sees a tensor that the model needs and nobody wrote", async () => {
    const path = copy();
    // A name of the same length keeps the offsets right.
    for (const file of [second, index]) {
      const bytes = readFileSync(join(path, file)).toString("latin1").replace('"model.norm.weight"', '"model.nurm.weight"');
      writeFileSync(join(path, file), Buffer.from(bytes, "latin1"));
    }
    expect(await check(path)).toMatchObject({ exit: 3, message: "missing: model.norm.weight" });
  });

  it("sees an index that points to the wrong file", async () => {
    const path = copy();
    const content = JSON.parse(readFileSync(join(path, index), "utf8"));
    content.weight_map["model.norm.weight"] = "model-00001-of-00002.safetensors";
    writeFileSync(join(path, index), JSON.stringify(content));
    expect(await check(path)).toMatchObject({ exit: 3, message: expect.stringContaining("index") });
  });

  it("sees a file that was cut off", async () => {
    const path = copy();
    truncateSync(join(path, second), 700_000);
    expect(await check(path)).toMatchObject({ exit: 2, message: expect.stringContaining("safetensors") });
  });
});

describe("packed checkpoints", () => {
  const layer = "model.layers.1.mlp.down_proj";
  const square = "model.layers.0.self_attn.o_proj";
  let subject: Subject;
  /** Packed and dense exports of one run: v1 (symmetric) and v2 (asymmetric). */
  const good = { v1: { packed: "", dense: "" }, v2: { packed: "", dense: "" } };
  type Version = keyof typeof good;

  beforeAll(() => {
    subject = madeModel(join(folder, "mha"), { hidden: 128, intermediate: 256, heads: 4 });
    for (const [version, flags] of [
      ["v1", ["--sym"]],
      ["v2", []],
    ] as const)
      for (const [kind, format] of [
        ["packed", "gptq"],
        ["dense", "dense"],
      ] as const)
        good[version][kind] = quantize(subject, join(folder, `${version}-${kind}`), [
          "--bits",
          "4",
          "--group-size",
          "32",
          "--format",
          format,
          ...flags,
        ]);
  });

  const check = (path: string, version: Version, more: Partial<Job> = {}) =>
    clients.check({ export: path, dense: good[version].dense, tokens: subject.evaluation, ...more });
  const relabel = (format: string) => (parts: Parts) => {
    Object.assign(parts.config.quantization_config, { checkpoint_format: format, format });
  };

  it.each(["v1", "v2"] as const)("takes %s as it is, and in two files", async (version) => {
    const { packed, dense } = good[version];
    const perplexity = perplexityOf(dense, subject);
    expect(await check(packed, version, { perplexity })).toMatchObject({ exit: 0, files: 1, dtypes: ["float16", "int32"] });
    expect(await check(await sharded(packed, place(), () => {}), version)).toMatchObject({ exit: 0, files: 2 });
  });

  const broken: [title: string, version: Version, exit: number, message: string, edit: (parts: Parts) => void, more?: Partial<Job>][] = [
    ["zeros less one, labelled v2", "v1", 3, "qzeros", relabel("gptq_v2")],
    [
      "zeros less one, labelled v2, of an asymmetric grid",
      "v1",
      4,
      "other weights",
      ({ config }) => {
        relabel("gptq_v2")({ config } as Parts);
        config.quantization_config.sym = false;
      },
    ],
    ["zeros as they are, labelled v1", "v2", 4, "other weights", relabel("gptq")],
    ["zeros as they are, labelled v1, in GPTQModel", "v2", 2, "gptqmodel refuses it", relabel("gptq"), { client: "gptqmodel" }],
    ["a missing g_idx", "v1", 3, `missing: ${layer}.g_idx`, ({ tensors }) => void tensors.delete(`${layer}.g_idx`)],
    [
      "codes moved by one bit",
      "v2",
      4,
      `${layer}.weight`,
      ({ tensors }) => {
        const codes = words(tensors, `${layer}.qweight`);
        for (const [i, word] of codes.entries()) codes[i] = (word << 1) | (word >>> 31);
      },
    ],
    [
      "codes packed as if outputs were inputs",
      "v1",
      4,
      `${square}.weight`,
      ({ tensors }) => {
        const codes = words(tensors, `${square}.qweight`);
        const right = codes.slice();
        const at = (input: number, output: number) => (right[(input >> 3) * 128 + output] >>> (4 * (input & 7))) & 15;
        for (const w of codes.keys()) {
          const [row, column] = [w >> 7, w & 127];
          codes[w] = Array.from({ length: 8 }, (_, k) => at(column, 8 * row + k) << (4 * k)).reduce((word, code) => word | code);
        }
      },
    ],
    [
      "qweight transposed",
      "v1",
      3,
      `${layer}.qweight is int32 [128, 32]`,
      ({ tensors }) => {
        const { spec, bytes } = tensors.get(`${layer}.qweight`)!;
        tensors.set(`${layer}.qweight`, { spec: { ...spec, shape: [...spec.shape].reverse() }, bytes });
      },
    ],
    [
      "one group of scales twice as large",
      "v2",
      4,
      `${layer}.weight`,
      ({ tensors }) => {
        const scales = halves(tensors, `${layer}.scales`);
        // The third group of one output; 1024 is one step of an f16's exponent.
        scales[2 * 128 + 5] += 1024;
      },
    ],
    ["a scale that is NaN", "v1", 6, `${layer}.scales`, ({ tensors }) => halves(tensors, `${layer}.scales`).set([0x7e00])],
    ["other bits in config.json", "v1", 3, "qweight", ({ config }) => Object.assign(config.quantization_config, { bits: 8 })],
    ["another group size in config.json", "v2", 3, "qzeros", ({ config }) => Object.assign(config.quantization_config, { group_size: 64 })],
    ["an unknown format in config.json", "v1", 3, "format", relabel("marlin")],
    ["no quantization_config", "v1", 3, "missing", ({ config }) => Object.assign(config, { quantization_config: undefined })],
    [
      "a g_idx out of order, without desc_act",
      "v1",
      3,
      `${layer}.g_idx is not in order`,
      ({ tensors }) => words(tensors, `${layer}.g_idx`).reverse(),
    ],
    ["a g_idx beyond the groups", "v1", 3, "not there", ({ tensors }) => words(tensors, `${layer}.g_idx`).set([8], 255)],
    [
      "a zero of a symmetric grid that is not in its middle",
      "v1",
      3,
      `${layer}.qzeros`,
      ({ tensors }) => words(tensors, `${layer}.qzeros`).set([0x77777776]),
    ],
    [
      "a weight left beside its packed tensors",
      "v1",
      3,
      `unexpected: ${layer}.weight`,
      ({ tensors }) => {
        const spec = { name: `${layer}.weight`, dtype: "F16", shape: [128, 256] } as const;
        tensors.set(spec.name, { spec, bytes: new Uint8Array(2 * 128 * 256) });
      },
    ],
    [
      "an output matrix beside tied embeddings",
      "v1",
      3,
      "unexpected: lm_head.weight",
      ({ tensors }) => {
        const { spec, bytes } = tensors.get("model.embed_tokens.weight")!;
        tensors.set("lm_head.weight", { spec: { ...spec, name: "lm_head.weight" }, bytes });
      },
    ],
    [
      "an embedding that was touched",
      "v2",
      4,
      "model.embed_tokens.weight",
      ({ tensors }) => halves(tensors, "model.embed_tokens.weight").reverse(),
    ],
    ["another position encoding", "v1", 5, "logits", ({ config }) => Object.assign(config, { rope_theta: 100 })],
    ["another perplexity than ours", "v1", 7, "perplexity", () => {}, { perplexity: 100 }],
  ];
  it.each(broken)("sees %s", async (_, version, exit, message, edit, more) => {
    const report = await check(await patched(good[version].packed, place(), edit), version, more);
    expect(report).toMatchObject({ exit, message: expect.stringContaining(message) });
  });

  it("sees an index that points to the wrong file", async () => {
    const path = await sharded(good.v1.packed, place(), ({ weight_map }) => {
      const [embedding, norm] = ["model.embed_tokens.weight", "model.norm.weight"];
      [weight_map[embedding], weight_map[norm]] = [weight_map[norm], weight_map[embedding]];
    });
    expect(await check(path, "v1")).toMatchObject({ exit: 3, message: expect.stringContaining("index") });
  });

  it("sees a file that was cut off", async () => {
    const path = await patched(good.v1.packed, place(), () => {});
    truncateSync(join(path, "model.safetensors"), 100_000);
    expect(await check(path, "v1")).toMatchObject({ exit: 2, message: expect.stringContaining("safetensors") });
  });

  it("sees a quantize_config.json from another run", async () => {
    const path = await patched(good.v1.packed, place(), () => {});
    writeFileSync(join(path, "quantize_config.json"), readFileSync(join(good.v2.packed, "quantize_config.json")));
    expect(await check(path, "v1")).toMatchObject({ exit: 3, message: expect.stringContaining("quantize_config.json") });
  });
});
