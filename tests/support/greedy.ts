/** Greedy text by our own forward pass. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Tokenizer } from "@huggingface/tokenizers";
import type { Model } from "../../src/model/checkpoint";
import { eachLogits } from "../../src/model/logits";
import type { Ops, Tensor } from "../../src/ops/ops";
import { activationsOf, forward } from "./engine";

/** The text with so many tokens more, or fewer where it ends. @param folder with the model's tokenizer. */
export async function goneOn(ops: Ops, model: Model, folder: string, text: string, more: number): Promise<string> {
  const json = (name: string) => JSON.parse(readFileSync(join(folder, name), "utf8"));
  const tokenizer = new Tokenizer(json("tokenizer.json"), json("tokenizer_config.json"));
  const end: number = json("config.json").eos_token_id;
  const { ids } = tokenizer.encode(text);
  for (let i = 0; i < more; i++) {
    const next = await likeliest(ops, model, ids);
    ids.push(next);
    if (next === end) break;
  }
  return tokenizer.decode(ids, { skip_special_tokens: true });
}

async function likeliest(ops: Ops, model: Model, ids: readonly number[]): Promise<number> {
  const stream = await forward(ops, model, { windows: 1, length: ids.length, ids: Int32Array.from(ids) });
  const kept: Tensor[] = [];
  await eachLogits({ activations: activationsOf(ops), models: [{ model, h: stream.hs, rounded: null }] }, ([logits], _, offset) => {
    if (offset) throw new Error("a vocabulary in one slice is expected");
    kept.push(logits);
  });
  const [all] = await ops.read(kept);
  const last = all.subarray(all.length - model.spec.vocabulary);
  return last.indexOf(Math.max(...last));
}
