/** A client without a worker: answers from the oracle's figures, with the events that a run sends. */
import { readFileSync } from "node:fs";
import { QuantError } from "../../src/errors";

export type { Fake, FakeOptions } from "./fake-client";

import { createFake, type Fake, type FakeOptions, type Figures } from "./fake-client";

const path = new URL("../fixtures/oracle/figures.json", import.meta.url);
export const figures = JSON.parse(readFileSync(path, "utf8")) as Figures;

export const fakeClient = (options?: FakeOptions): Fake => createFake(figures, options);

export const failure = (code: "truncated" | "worker-died") => new QuantError(code, "model.safetensors", "Download it again.");
