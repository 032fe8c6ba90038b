/** Whether two checkpoints can be measured side by side: position by position, both must expect the same tokens. */
import { asQuantError, QuantError } from "../errors";
import { findFile } from "../io/source";
import { shown } from "../io/text";
import type { Source, SourceFile } from "../io/types";
import { checkTokens, type TokenWindows } from "../model/calibration";
import { type Model, runnable } from "../model/checkpoint";
import { openAny } from "../reopen/open";

const hint = "Measure it against the model that it was made of.";
const nameOf = ({ source }: Model): string => shown(source.label);

/** @throws QuantError as `openAny`, naming the original: two checkpoints are open. */
export async function openOriginal(source: Source): Promise<Model> {
  try {
    return runnable(await openAny(source));
  } catch (cause) {
    const { code, where, hint } = asQuantError(cause);
    throw new QuantError(code, `${shown(source.label)}: ${where}`, hint, { cause });
  }
}

/** @throws QuantError `other-vocabulary`. */
export function checkSameVocabulary(model: Model, original: Model): void {
  const [own, other] = [model.spec.vocabulary, original.spec.vocabulary];
  if (own !== other) throw new QuantError("other-vocabulary", `${nameOf(model)} has ${own} tokens and ${nameOf(original)} ${other}`, hint);
}

/**
 * Compares tokenizers by what they make of the text, unless their files are the same: programs write one tokenizer in different ways.
 * @param again the original's windows of the same text. @throws QuantError `other-vocabulary` naming the first id that differs; `bad-tokens` where windows are
 * too long for the original.
 */
export async function checkSameTokens(
  model: Model,
  original: Model,
  tokens: TokenWindows,
  again: () => Promise<TokenWindows>,
): Promise<void> {
  checkTokens(tokens, original.spec.vocabulary, original.spec.maxPositions, nameOf(original));
  const { ids } = tokens;
  const [own, other] = [model, original].map(({ source }) => findFile(source, "tokenizer.json"));
  // A .npy file of ids needs no tokenizer, and a folder may hold none.
  if (!own || !other || (await isSame(own, other))) return;
  const { ids: others } = await again();
  const at = ids.findIndex((id, t) => id !== others[t]);
  if (at < 0 && ids.length === others.length) return;
  const where =
    at < 0
      ? `it makes ${ids.length} tokens of this text with one tokenizer and ${others.length} with the other`
      : `token ${at + 1} of this text is ${ids[at]} in ${nameOf(model)} and ${others[at] ?? "missing"} in ${nameOf(original)}`;
  throw new QuantError("other-vocabulary", where, hint);
}

/** The same bytes. */
async function isSame(a: SourceFile, b: SourceFile): Promise<boolean> {
  if (a.size !== b.size) return false;
  const [x, y] = await Promise.all([a, b].map((file) => file.read(0, file.size)));
  return x.every((byte, i) => byte === y[i]);
}
