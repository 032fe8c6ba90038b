import type { FlatError } from "../errors";

/** Comlink keeps only an Error's message, so failures travel as values. */
export type Reply<T> = { ok: true; value: T } | { ok: false; error: FlatError };
