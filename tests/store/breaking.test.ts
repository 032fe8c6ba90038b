import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { QuantError } from "../../src/errors";
import { canExport, nextStep } from "../../src/store/next";
import { createStudio } from "../../src/store/studio";
import type { StudioApi } from "../../src/worker/protocol";
import { pass, type RealClient, realClient, until } from "../support/real-client";
import { made, opened } from "./opened";

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

/** A page with one finished run on the demo; each start of a worker takes the next client. */
async function withFinishedRun(clients: ReturnType<typeof realClient>[]) {
  const studio = createStudio(() => clients.shift()!);
  await studio.start();
  await studio.openDemo();
  studio.editRecipe({ calibration: { windows: 4, windowLength: 16 } });
  await studio.run();
  return { studio, state: () => studio.store.getState() };
}

describe("when things break", () => {
  it("no WebGPU leaves the CPU reference on offer", async () => {
    const { client, studio, state } = made(realClient({ gpu: false }));
    await studio.start();
    expect(state().gpu).toMatchObject({ status: "missing", error: { code: "no-webgpu" } });
    expect(nextStep(state())).toBe("reference");
    await studio.startReference();
    expect(client.calls.slice(0, 3)).toEqual(["init(false)", "init(true)", "openDemo"]);
    expect(state().gpu.facts?.kind).toBe("cpu");
    expect(state().model.summary).not.toBeNull();
  });

  it("a dead worker can be started again, with the model that was open", async () => {
    const clients = [realClient(), realClient()];
    const [first, second] = clients;
    const { studio, state } = await withFinishedRun(clients);
    first.holdAfter((e) => e.type === "progress");
    const measuring = studio.measure();
    await until(() => first.held);
    first.die("Out of memory");
    await measuring;
    expect(state().gpu).toMatchObject({ status: "dead", error: { code: "worker-died", where: "Out of memory" } });
    expect(state().runs[0].held).toBe(false);
    expect(nextStep(state())).toBe("restart");
    await studio.restart();
    expect(second.calls.slice(0, 2)).toEqual(["init(false)", "openDemo"]);
    expect(state().gpu.status).toBe("ready");
    expect(state().runs[0].blocks).toHaveLength(4);
    expect(nextStep(state())).toBe("run");
    await studio.run();
    expect(state().runs[1].status).toBe("done");
  });

  it("a limit on GPU memory is planned with, and told to the worker that takes the place of a dead one", async () => {
    const clients = [realClient(), realClient()];
    const [first, second] = clients;
    const { studio, state } = await withFinishedRun(clients);
    studio.limitMemory(0.0625);
    await vi.advanceTimersByTimeAsync(1000);
    await until(() => !state().plan.pending);
    expect(first.calls.slice(-2)).toEqual(["limitMemory", "plan"]);
    expect(state().plan.summary!.peakGpuBytes).toBeLessThanOrEqual(2 ** 26);
    first.die("gone");
    await studio.measure();
    await studio.restart();
    expect(second.calls.slice(0, 3)).toEqual(["init(false)", "limitMemory", "openDemo"]);
  });

  it("a GPU that the browser gives no more is told from one that it never had, is no fault of the recipe, and leaves finished runs to be exported", async () => {
    const none = new QuantError("no-webgpu", "the browser found no GPU", "Update the driver.");
    const clients = [realClient(), realClient({ later: true }), realClient({ later: true })];
    const [first, second] = clients;
    const { studio, state } = await withFinishedRun(clients);
    first.fail = { plan: none, measure: none };
    await studio.measure();
    await until(() => !state().plan.pending);
    expect(state().gpu).toMatchObject({
      status: "dead",
      error: { code: "device-lost", hint: expect.stringContaining("restart the browser") },
    });
    expect(state().outcome).toMatchObject({ kind: "failed", error: { code: "device-lost" } });
    expect(state().plan.error).toBeNull();
    expect(nextStep(state())).toBe("restart");
    expect(canExport(state())).toBe(true);
    expect((await studio.exportRun({ kind: "zip", name: "demo" }))?.files.length).toBeGreaterThan(4);

    // A new worker does not get one either, and nothing is asked of it.
    second.fail = { init: none };
    await studio.restart();
    expect(second.calls).toEqual(["init(false)"]);
    expect(state().gpu).toMatchObject({ status: "dead", error: { code: "device-lost" } });
    expect(canExport(state())).toBe(false);
    await studio.restart();
    expect(state().gpu.status).toBe("ready");
    expect(state().runs[0].status).toBe("done");
  });

  it("a plan that loses the GPU for good says nothing against the recipe", async () => {
    const { client, studio, state, settled } = await opened();
    client.fail = { plan: new QuantError("no-webgpu", "the browser found no GPU") };
    studio.editRecipe({ bits: 4 });
    await settled();
    expect(state().gpu.error?.code).toBe("device-lost");
    expect(state().plan.error).toBeNull();
  });

  it("never asks the worker for two things at once, but for a cancel", async () => {
    const client = realClient();
    let inside = 0;
    let most = 0;
    const watched: RealClient = Object.assign(Object.create(client), {
      async call(method: keyof StudioApi, ...args: never[]) {
        const called = (client.call as (m: string, ...a: never[]) => Promise<never>).bind(client);
        if (["cancel", "forget", "liveBytes"].includes(method)) return called(method, ...args);
        most = Math.max(most, ++inside);
        try {
          return await called(method, ...args);
        } finally {
          inside--;
        }
      },
    });
    const { studio, settled } = await opened(watched);
    client.holdAfter((e) => e.type === "layer");
    studio.editRecipe({ bits: 4 });
    const run = studio.run();
    studio.editRecipe({ bits: 8 });
    await until(() => client.held);
    await pass(600); // what the edits ask for is due
    studio.cancel();
    await run;
    studio.run();
    studio.editRecipe({ bits: 4 });
    await settled();
    studio.remove("run-1");
    studio.measure();
    await settled();
    expect(most).toBe(1);
    // The worker would have said so.
    expect(studio.store.getState().log.filter((line) => line.level === "error")).toEqual([]);
  });
});

it("removing a run frees its colour for the next", async () => {
  const { studio, state, asked } = await opened();
  await studio.run();
  await studio.addPartner("base");
  studio.remove("run-1");
  expect(state().selected).toBe("run-2");
  await studio.run();
  expect(state().runs.map((r) => [r.id, r.slot])).toEqual([
    ["run-2", 1],
    ["run-3", 0],
  ]);
  expect(asked("forget")).toBe(1);
});
