/** What a helper thread does, on either platform. */
import { givenAs, QuantError } from "../errors";
import { type DataRow, type ParquetRequest, parquetRequest, parquetRows } from "../io/parquet";
import { shown } from "../io/text";
import type { ChatMessage } from "./documents";
import type { Helper } from "./text-file";
import { tokenizerOf } from "./tokenizer";

export type HelperRequest =
  | ({ kind: "parquet" } & ParquetRequest)
  | { kind: "chat"; template: string; variables: Record<string, string>; conversations: readonly ChatMessage[][] }
  | { kind: "encode"; tokenizer: object; config: object; text: string; special: boolean };

const deadlineMs = 10_000;

/** Starts a thread, sends it a request and returns its answer. The thread is ended then, at the deadline (null: none), or when the job is cancelled. */
export type Ask = <T>(request: HelperRequest, deadlineMs: number | null) => Promise<T>;

/** Thrown by `Ask` at the deadline. */
export const lateAnswer = Symbol("late");

/** Answers a request, on the helper's thread. Errors are marked as being about the text here, before they cross back to the engine. */
export const doRequest = (request: HelperRequest): Promise<unknown> => givenAs("text", () => work(request));

async function work(request: HelperRequest): Promise<unknown> {
  if (request.kind === "parquet") return parquetRows(request);
  if (request.kind === "encode") return (await tokenizerOf(request.tokenizer, request.config))(request.text, request.special);
  const { Template } = await import("@huggingface/jinja");
  try {
    const template = new Template(request.template);
    return request.conversations.map((messages) => template.render({ ...request.variables, messages, add_generation_prompt: false }));
  } catch (cause) {
    throw badTemplate(`the model's chat template fails: ${shown((cause as Error).message ?? String(cause))}`);
  }
}

const badTemplate = (where: string) => new QuantError("bad-text", where, "Give plain text, or mend chat_template.");

/** The helper that answers through `ask`; errors of late answers name the file or template. */
export function helperOf(ask: Ask): Helper {
  const within = async <T>(request: HelperRequest, late: () => QuantError): Promise<T> => {
    try {
      return await ask<T>(request, deadlineMs);
    } catch (e) {
      throw e === lateAnswer ? late() : e;
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
      return within<DataRow[]>({ kind: "parquet", ...(await parquetRequest(file, wanted)) }, late);
    },
    chat: (template, variables, conversations) =>
      within<string[]>({ kind: "chat", template, variables, conversations }, () =>
        badTemplate(`the model's chat template takes longer than ${deadlineMs / 1000} s`),
      ),
    encode: (tokenizer, config, text, special) => ask<number[]>({ kind: "encode", tokenizer, config, text, special }, null),
  };
}
