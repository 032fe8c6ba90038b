import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { canCheck } from "../../src/store/next";
import { realClient } from "../support/real-client";
import { given, made, opened, packedFiles } from "./opened";

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

/** The files with the weights cut off. */
async function cut(files: File[]): Promise<File[]> {
  const parts = files.map(async (file) =>
    file.name.endsWith(".safetensors") ? new File([(await file.arrayBuffer()).slice(0, -32)], file.name) : file,
  );
  return Promise.all(parts);
}

it("files are checked beside the open model, which stays as it is", async () => {
  const { studio, state } = await opened();
  const { summary } = state().model;
  await studio.checkFiles({ ...given(await packedFiles(), "mine"), beside: true });
  expect(state().outcome).toEqual({ kind: "checked", label: "mine", passed: true });
  expect(state().verification).toMatchObject({ label: "mine", against: "QEP demo", passed: true, title: "GPTQ 4-bit, groups of 32" });
  expect(state().verification!.layers!.length).toBeGreaterThan(0);
  expect(state().model.summary).toBe(summary);

  await studio.checkFiles({ ...given(await cut(await packedFiles()), "cut"), beside: false });
  expect(state().outcome).toMatchObject({ kind: "checked", passed: false });
  expect(state().verification).toMatchObject({ layers: null, against: null });
  expect(
    state()
      .log.filter(({ level }) => level === "error")
      .map(({ message }) => message),
  ).toEqual([
    expect.stringMatching(/^cut: This file is shorter than its header says/),
    expect.stringMatching(/^cut: Weights are not those that certificate\.json names\. \(model\.safetensors\)/),
  ]);
});

it("without a GPU, and not while a job runs", async () => {
  const { studio, state, client } = made(realClient({ gpu: false }));
  await studio.start();
  expect(state().gpu.status).toBe("missing");
  expect(canCheck(state())).toBe(true);
  const checking = studio.checkFiles({ ...given(await packedFiles(), "mine"), beside: true });
  expect(canCheck(state())).toBe(false);
  await studio.checkFiles({ files: [], label: "twice", beside: true });
  await checking;
  expect(client.calls.filter((call) => call === "checkFiles")).toHaveLength(1);
  expect(state().verification).toMatchObject({ label: "mine", against: null, passed: true });
});

it("can be cancelled, and says so", async () => {
  const { studio, state } = await opened();
  const checking = studio.checkFiles({ ...given(await packedFiles(), "mine"), beside: true });
  studio.cancel();
  await checking;
  expect(state().outcome).toEqual({ kind: "cancelled", what: "check" });
  expect(state().verification).toBeNull();
});

it("a file that vanishes while it is read is an error, not a finding", async () => {
  const { studio, state } = await opened();
  const files = await packedFiles();
  const gone = new DOMException("gone", "NotReadableError");
  files.find(({ name }) => name === "model.safetensors")!.slice = () => ({ arrayBuffer: () => Promise.reject(gone) }) as unknown as Blob;
  await studio.checkFiles({ ...given(files, "mine"), beside: true });
  expect(state().outcome).toMatchObject({ kind: "failed", error: { code: "file-changed" } });
});
