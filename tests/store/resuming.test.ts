import { expect, it } from "vitest";
import { realClient, until } from "../support/real-client";
import { made, opened } from "./opened";

/** A page whose run was cancelled after so many blocks. */
async function cancelledAfter(blocks: number) {
  const page = await opened();
  const { client, studio, state } = page;
  client.holdAfter((e) => e.type === "commit" && e.done === blocks);
  const running = studio.run();
  await until(() => client.held);
  studio.cancel();
  client.release();
  await running;
  await until(() => state().interrupted.length > 0);
  return page;
}

it("a run that was cancelled is offered at its next block, and comes to the figures of one that was not", async () => {
  const { client, studio, state } = await cancelledAfter(1);
  expect(state().runs).toMatchObject([{ status: "cancelled" }]);
  const [{ id, done, blocks, text }] = state().interrupted;
  expect({ id, done, text }).toMatchObject({ id: "run-1", done: 1, text: { label: "demo calibration text" } });
  expect(blocks).toBeGreaterThan(1);
  await studio.resume(id);
  expect(state()).toMatchObject({ interrupted: [], outcome: { kind: "ran" }, selected: "run-1" });
  await studio.run();
  const [resumed, whole] = state().runs;
  expect(resumed).toMatchObject({ status: "done", held: true });
  expect(resumed.blocks).toEqual(whole.blocks);
  expect(resumed.layers.map((l) => l.relativeError)).toEqual(whole.layers.map((l) => l.relativeError));
  expect(client.calls.filter((call) => call === "resume")).toHaveLength(1);
});

it("another page finds it when it opens the same checkpoint, and goes on with the windows that were kept", async () => {
  const size = (await cancelledAfter(1)).state().runs[0].bytesOut;
  expect(size).toBeGreaterThan(0);
  const later = made(realClient({ later: true }));
  await later.studio.start();
  await later.studio.openDemo();
  await until(() => later.state().interrupted.length > 0);
  const [{ id }] = later.state().interrupted;
  await later.studio.resume(id);
  expect(later.state().runs).toMatchObject([{ id, number: 1, status: "done", held: true, bytesOut: size }]);
  // Its own windows are at hand although the page never read their text.
  later.studio.editEvaluation({ calibrationToo: true });
  await later.studio.measure();
  expect(later.state().runs[0].measured.some((m) => m.own)).toBe(true);
  await later.studio.discard(id);
});

it("what is discarded is gone for good", async () => {
  const { studio, state } = await cancelledAfter(1);
  await studio.discard("run-1");
  expect(state().interrupted).toEqual([]);
  const later = made(realClient({ later: true }));
  await later.studio.start();
  await later.studio.openDemo();
  await later.settled();
  expect(later.state().interrupted).toEqual([]);
});

it("of an α that was only dragged nothing is kept", async () => {
  const { client, studio, state, settled } = await opened();
  await studio.run();
  const before = state().interrupted.length;
  client.holdAfter((e) => e.type === "commit" && e.done === 1);
  studio.editRecipe({ qep: { alpha: 0.7 } });
  await until(() => client.held);
  studio.cancel();
  client.release();
  await settled();
  expect(state().interrupted).toHaveLength(before);
  await studio.discard("run-1");
});

it("the run under way is not discarded", async () => {
  const { client, studio, state } = await opened();
  client.holdAfter((e) => e.type === "commit" && e.done === 1);
  const running = studio.run();
  await until(() => client.held);
  await studio.discard("run-1");
  expect(client.calls).not.toContain("forget");
  client.release();
  await running;
  expect(state().runs).toMatchObject([{ status: "done", held: true }]);
});
