import * as Comlink from "comlink";
import { expect, test } from "vitest";
import type { RunEvent } from "../../src/results/events";
import { connect } from "../../src/worker/client";
import type { RunRequest } from "../../src/worker/protocol";
import { recipeWith } from "../support/recipe";

const request: RunRequest = { id: "run-1", recipe: recipeWith(), calibration: { kind: "demo" }, isPassing: false };

/** The worker's side on a message channel in place of a Worker. */
function serve(api: object) {
  const { port1, port2 } = new MessageChannel();
  Comlink.expose(api, port1);
  port1.start();
  port2.start();
  const client = connect(Object.assign(port2, { terminate: () => {} }) as unknown as Worker);
  return {
    client,
    /** What the browser does to a Worker when its script throws, or when a message cannot be read. */
    fault: (type: "error" | "messageerror", message?: string) => port2.dispatchEvent(Object.assign(new Event(type), { message })),
    end: () => {
      port1.close();
      port2.close();
    },
  };
}

test("a reply that overtakes the last events waits for them", async () => {
  const { client, end } = serve({
    async run(_: unknown, onEvent: (e: RunEvent) => void) {
      // As a slow port would: the reply is under way before the events.
      setTimeout(() => {
        onEvent({ type: "log", level: "info", message: "last words" });
        onEvent({ type: "end", outcome: "done" });
      }, 50);
      return { ok: true, value: { ms: 1 } };
    },
  });
  const heard: RunEvent["type"][] = [];
  expect(await client.call("run", request, (e) => heard.push(e.type))).toEqual({ ms: 1 });
  expect(heard).toEqual(["log", "end"]);
  end();
});

test("a worker that dies between the two rejects the call", async () => {
  const { client, end } = serve({ run: async () => ({ ok: true, value: {} }) });
  const call = client.call("run", request, () => {});
  setTimeout(() => client.close(), 20);
  await expect(call).rejects.toMatchObject({ code: "worker-died" });
  end();
});

test("a worker whose script fails rejects the calls under way and all later ones, and says why", async () => {
  const { client, fault, end } = serve({ openDemo: () => new Promise(() => {}), run: () => new Promise(() => {}) });
  const under = [client.call("openDemo"), client.call("run", request, () => {})];
  fault("error", "Out of memory");
  for (const call of [...under, client.call("openDemo")])
    await expect(call).rejects.toMatchObject({ code: "worker-died", where: "Out of memory", hint: expect.stringContaining("Restart") });
  end();
});

test("a message that cannot be read rejects the calls too: the answer to one of them may be lost", async () => {
  const { client, fault, end } = serve({ openDemo: () => new Promise(() => {}) });
  const call = client.call("openDemo");
  fault("messageerror");
  await expect(call).rejects.toMatchObject({ code: "worker-died" });
  end();
});

test("calls without events are answered at once, failures as errors", async () => {
  const { client, end } = serve({ openDemo: async () => ({ ok: false, error: { code: "busy", where: "", hint: "", message: "" } }) });
  await expect(client.call("openDemo")).rejects.toMatchObject({ code: "busy" });
  end();
});
