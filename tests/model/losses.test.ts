import { expect, test } from "vitest";
import { openModel } from "../../src/model/checkpoint";
import { tokenLosses } from "../../src/model/losses";
import { createCpuOps } from "../../src/ops/cpu";
import type { Ops } from "../../src/ops/ops";
import { activationsOf, forward } from "../support/engine";
import { tinySource, tinyTokens } from "../support/tiny";

test("the head is read in slices of which neither weights nor logits are larger than asked, and the losses are the same", async () => {
  const cpu = createCpuOps();
  const logits: number[] = [];
  const ops: Ops = Object.create(cpu, {
    crossEntropyUpdate: {
      value: (...args: Parameters<Ops["crossEntropyUpdate"]>) => {
        logits.push(4 * args[1].shape[0] * args[1].shape[1]);
        cpu.crossEntropyUpdate(...args);
      },
    },
  });
  const model = await openModel(tinySource());
  // More tokens than the hidden size: the logits are larger than their slice of the head.
  const tokens = tinyTokens(4, 16);
  const stream = await forward(ops, model, tokens);
  const losses = (bytes?: number) =>
    tokenLosses({ activations: activationsOf(ops), chunks: [tokens], bytes }, { model, h: stream.hs, rounded: null });
  const [whole] = await losses();
  expect(logits).toEqual([4 * 64 * 50]);
  const [sliced] = await losses(2000);
  expect(logits.length).toBeGreaterThan(5);
  expect(Math.max(...logits.slice(1))).toBeLessThanOrEqual(2000);
  for (const [t, loss] of whole.entries()) if (!Number.isNaN(loss)) expect(sliced[t]).toBeCloseTo(loss, 10);
});
