import { QuantError, throwIfCancelled } from "../errors";
import { watched } from "../io/digest";
import { blockTensors } from "../model/block";
import type { Calibration } from "../model/calibration";
import type { Checkpoint } from "../model/checkpoint";
import type { RunPlan } from "../quant/layer-plan";
import { embeddingRowsOf, runChunks } from "./chunks";
import type { Emit } from "./progress";
import type { RunStore } from "./run-store";

/**
 * Reads again the tensors that the committed blocks were made from, and compares digests: data can change while names and sizes stay the same.
 * @throws QuantError `inputs-changed` naming the place.
 */
export async function checkInputs(
  store: RunStore,
  model: Checkpoint,
  plan: RunPlan,
  calibration: Calibration | null,
  perChunk: number,
  emit: Emit,
  signal?: AbortSignal,
): Promise<void> {
  const { shards, digest } = watched(model.shards);
  const [embeddings, ...blocks] = store.inputs;
  if (embeddings && calibration && model.spec) {
    const same = { ...model, spec: model.spec, shards };
    for await (const _ of embeddingRowsOf(same, runChunks(calibration, perChunk), signal)) throwIfCancelled(signal);
    if ((await digest()) !== embeddings) throw changed("the embeddings");
  }
  for (const [m, wanted] of blocks.entries()) {
    // The run's own progress starts from 0 afterwards.
    emit({ type: "progress", done: 0, total: 1, where: `checking that block ${m + 1} of ${blocks.length} is unchanged` });
    for (const name of readFor(model, plan, m)) {
      throwIfCancelled(signal);
      await shards.readTensor(name);
    }
    if ((await digest()) !== wanted) throw changed(`the weights of block ${m + 1}`);
  }
}

const readFor = ({ spec }: Checkpoint, plan: RunPlan, block: number): string[] =>
  spec ? blockTensors(spec, block) : plan.layers.filter((l) => l.block === block).map(({ name }) => `${name}.weight`);

const changed = (what: string) =>
  new QuantError("inputs-changed", `${what} differ`, "Start again from the beginning, or give the checkpoint as it was.");
