/** The JSON files that transformers.js reads beside a graph, where it wants more in them than transformers does. */
import { parseJsonKept, readJson } from "../../io/json";
import { findFile } from "../../io/source";
import type { Source } from "../../io/types";
import type { Checkpoint } from "../../model/checkpoint";
import { chatTemplateFile } from "../../model/tokenizer";

type Json = Record<string, unknown>;

const limit = 50 * 2 ** 20;

const isObject = (value: unknown): value is Json => typeof value === "object" && value !== null && !Array.isArray(value);

/**
 * tokenizer_config.json as transformers.js needs it; {} where there is no tokenizer.json. Its pipelines add special tokens to a text only where
 * `add_bos_token` or `add_eos_token` says so, while transformers does what tokenizer.json says, whatever these say; and it looks for the chat template
 * nowhere else.
 */
export async function tokenizerFiles(source: Source): Promise<Record<string, Json>> {
  const [tokenizer, settings] = ["tokenizer.json", "tokenizer_config.json"].map((name) => findFile(source, name));
  if (!tokenizer) return {};
  const given = settings && settings.size <= limit ? parseJsonKept(await settings.read(0, settings.size), settings.name) : {};
  const template = await chatTemplateFile(source);
  const config = {
    // Without a class it would not be opened.
    tokenizer_class: "PreTrainedTokenizerFast",
    ...(isObject(given) ? given : {}),
    ...specialTokens(await readJson(tokenizer, limit)),
    ...(template === null ? {} : { chat_template: template }),
  };
  return { "tokenizer_config.json": config };
}

/** Whether a tokenizer.json puts special tokens before and after every text. */
function specialTokens(tokenizer: unknown): { add_bos_token: boolean; add_eos_token: boolean } {
  const steps = stepsOf(isObject(tokenizer) ? tokenizer.post_processor : null);
  // These two always do both.
  const always = steps.some(({ type }) => type === "BertProcessing" || type === "RobertaProcessing");
  const templates = steps.flatMap(({ type, single }) => (type === "TemplateProcessing" && Array.isArray(single) ? [single] : []));
  const adds = (at: number) => always || templates.some((pieces) => isObject(pieces.at(at)) && "SpecialToken" in pieces.at(at));
  return { add_bos_token: adds(0), add_eos_token: adds(-1) };
}

const stepsOf = (processor: unknown): Json[] => {
  if (!isObject(processor)) return [];
  return processor.type === "Sequence" && Array.isArray(processor.processors) ? processor.processors.filter(isObject) : [processor];
};

/** generation_config.json with the special tokens of config.json; {} where the source has one, which is copied. */
export function generationFiles({ source, config }: Checkpoint): Record<string, Json> {
  if (findFile(source, "generation_config.json")) return {};
  const names = ["bos_token_id", "eos_token_id", "pad_token_id"];
  const known = names.filter((name) => config[name] !== undefined && config[name] !== null);
  return { "generation_config.json": Object.fromEntries(known.map((name) => [name, config[name]])) };
}
