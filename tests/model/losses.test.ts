import { expect, test } from "vitest";
import { memoryScratch, type Scratch } from "../../src/io/scratch";
import { openModel } from "../../src/model/checkpoint";
import { tokenLosses } from "../../src/model/losses";
import { type Activation, Activations } from "../../src/ops/activations";
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

test("the head's inputs that do not fit come back once for all slices, whose shares add up, and the losses are the same", async () => {
  const ops = createCpuOps();
  const model = await openModel(tinySource());
  const chunks = Array.from({ length: 12 }, () => tinyTokens(1, 16));
  const { hidden } = model.spec;
  const lossesWithin = async (device: number) => {
    const scratch = memoryScratch();
    let reads = 0;
    const read: Scratch["read"] = (...args) => {
      reads++;
      return scratch.read(...args);
    };
    const activations = new Activations(ops, async () => ({ ...scratch, read }), { device, host: 0, kept: 0 });
    return activations.job(async () => {
      const h: Activation[] = [];
      for (const c of chunks.keys())
        h.push(
          await activations.hold(
            ops.fromFloats(
              Float32Array.from({ length: 16 * hidden }, (_, i) => Math.sin(i + c)),
              [16, hidden],
            ),
          ),
        );
      ops.resetPeak();
      let shares = 0;
      const onShare = (share: number) => {
        shares += share;
      };
      const losses = await tokenLosses({ activations, chunks, bytes: 2000, onShare }, { model, h, rounded: null });
      expect(shares).toBeCloseTo(1, 10);
      return { losses, reads, peak: ops.peakBytes };
    });
  };
  const whole = await lossesWithin(2 ** 20);
  expect(whole.reads).toBe(0);
  // Room for four chunks' states, half of it for what the head takes.
  const grouped = await lossesWithin(4 * 16 * hidden * 4);
  expect(grouped.losses).toEqual(whole.losses);
  expect(grouped.reads).toBeGreaterThan(0);
  expect(grouped.reads).toBeLessThanOrEqual(12);
  // Of the twelve, in numbers of 8 bytes: the four, one in use, a slice of the head with its logits, and what is summed up for every token.
  expect(grouped.peak).toBeLessThan(8 * 9 * 16 * hidden);
});
