/** What a helper thread does, on either platform. */
import { givenAs, QuantError, throwIfCancelled } from "../errors";
import { type DataRow, type ParquetRequest, parquetRequest, parquetRows, unreadable } from "../io/parquet";
import { shown } from "../io/text";
import type { Reply } from "../results/reply";
import type { ChatMessage } from "./documents";
import type { Helper, ThreadTokenizer } from "./text-file";
import { tokenizerOf } from "./tokenizer";

export type HelperRequest =
  | ({ kind: "parquet" } & ParquetRequest)
  | { kind: "chat"; template: string; variables: Record<string, string>; conversations: readonly ChatMessage[][] }
  | { kind: "tokenizer"; json: object; config: object }
  /** By the tokenizer that was sent before. */
  | { kind: "encode"; text: string; special: boolean };

const deadlineMs = 10_000;
/** The library takes seconds to set up the largest vocabularies. */
const setUpMs = 6 * deadlineMs;
/** Characters for which a tokenizer has as long as for fewer; any that works is far quicker. */
const charactersPerDeadline = 2 ** 20;

/** A thread that answers one request after another. */
export interface HelperThread {
  send(request: HelperRequest): void;
  end(): Promise<unknown>;
}

/** Starts one. `answer` gets its answers, `fail` why there will be none. */
export type StartThread = (answer: (reply: Reply<unknown>) => void, fail: (why: string) => void) => HelperThread;

/** Asks a thread, which starts with the first question. It is ended when it fails or takes too long, and when the job is cancelled. */
class Asker {
  private thread: HelperThread | null = null;
  private answer: (reply: Reply<unknown>) => void = () => {};
  private fail: (why: string) => void = () => {};

  constructor(
    private readonly start: StartThread,
    private readonly signal: AbortSignal,
  ) {}

  /** @param ms null: as long as it takes. @param late the error after that. */
  async ask<T>(request: HelperRequest, ms: number | null, late: () => QuantError): Promise<T> {
    throwIfCancelled(this.signal);
    let timer: ReturnType<typeof setTimeout> | undefined;
    const done = new AbortController();
    try {
      return await new Promise<T>((resolve, reject) => {
        if (ms !== null) timer = setTimeout(() => reject(late()), ms);
        this.signal.addEventListener("abort", () => reject(new QuantError("cancelled")), { signal: done.signal });
        this.answer = (reply) => (reply.ok ? resolve(reply.value as T) : reject(QuantError.fromFlat(reply.error)));
        this.fail = (why) => reject(failed(request, why));
        this.thread ??= this.start(
          (reply) => this.answer(reply),
          (why) => this.fail(why),
        );
        this.thread.send(request);
      });
    } catch (e) {
      await this.end();
      throw e;
    } finally {
      clearTimeout(timer);
      done.abort();
    }
  }

  async end(): Promise<void> {
    const { thread } = this;
    this.thread = null;
    await thread?.end();
  }
}

function failed(request: HelperRequest, why: string): QuantError {
  if (request.kind === "tokenizer" || request.kind === "encode") return badTokenizer(`ends its thread${why ? `: ${shown(why)}` : ""}`);
  return unreadable(request.kind === "parquet" ? request.name : "the text", why);
}

const badTokenizer = (what: string) =>
  new QuantError("bad-tokenizer", `tokenizer.json ${what}`, "Use the tokenizer.json of this model, or token ids as .npy.");

/** Answers a request, on the helper's thread. Errors are marked as being about the text here, before they cross back to the engine. */
export const doRequest = (request: HelperRequest): Promise<unknown> => givenAs("text", () => work(request));

/** This thread's tokenizer, once it was sent. */
let tokenize: Awaited<ReturnType<typeof tokenizerOf>> | undefined;

async function work(request: HelperRequest): Promise<unknown> {
  if (request.kind === "parquet") return parquetRows(request);
  if (request.kind === "encode") return tokenize!(request.text, request.special);
  if (request.kind === "tokenizer") {
    tokenize = await tokenizerOf(request.json, request.config);
    return null;
  }
  const { Template } = await import("@huggingface/jinja");
  try {
    const template = new Template(request.template);
    return request.conversations.map((messages) => template.render({ ...request.variables, messages, add_generation_prompt: false }));
  } catch (cause) {
    throw badTemplate(`the model's chat template fails: ${shown((cause as Error).message ?? String(cause))}`);
  }
}

const badTemplate = (where: string) => new QuantError("bad-text", where, "Give plain text, or mend chat_template.");

/** The helper of one job, on threads that `start` starts; errors of late answers name the file, the template or the tokenizer. */
export function helperOf(start: StartThread, signal: AbortSignal): Helper {
  const once = async <T>(request: HelperRequest, late: () => QuantError): Promise<T> => {
    const asker = new Asker(start, signal);
    try {
      return await asker.ask<T>(request, deadlineMs, late);
    } finally {
      await asker.end();
    }
  };
  return {
    async parquet(file, wanted) {
      const late = () =>
        new QuantError(
          "bad-file",
          `${shown(file.name)} took longer than ${deadlineMs / 1000} s to read`,
          "It may be damaged: download it again, or save it as .jsonl.",
        );
      return once<DataRow[]>({ kind: "parquet", ...(await parquetRequest(file, wanted)) }, late);
    },
    chat: (template, variables, conversations) =>
      once<string[]>({ kind: "chat", template, variables, conversations }, () =>
        badTemplate(`the model's chat template takes longer than ${deadlineMs / 1000} s`),
      ),
    tokenizer: (json, config) => threadTokenizer(new Asker(start, signal), json, config),
  };
}

function threadTokenizer(asker: Asker, json: object, config: object): ThreadTokenizer {
  let ready: Promise<unknown> | undefined;
  return {
    async encode(text, special, isWatched) {
      ready ??= asker.ask({ kind: "tokenizer", json, config }, setUpMs, () =>
        badTokenizer(`takes longer than ${setUpMs / 1000} s to be set up`),
      );
      await ready;
      const ms = deadlineMs * Math.ceil((text.length + 1) / charactersPerDeadline);
      const late = () =>
        badTokenizer(
          `takes longer than ${ms / 1000} s for ${text.length} characters, by steps (normalizer, pre_tokenizer) that are not known here`,
        );
      return asker.ask<number[]>({ kind: "encode", text, special }, isWatched ? ms : null, late);
    },
    close: () => asker.end(),
  };
}
