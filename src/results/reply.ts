import type { FlatError } from "../errors";

/** The answer to a call of the worker. Comlink would drop an error's code and hint, so failures travel as values. */
export type Reply<T> = { ok: true; value: T } | { ok: false; error: FlatError };
