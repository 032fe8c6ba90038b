/** config.json as mlx-lm reads it: by names that some transformers versions do not write, and with defaults of its own for what is missing. */
import type { Checkpoint, Model } from "../../model/checkpoint";
import { familyOf } from "../../model/families";
import { ropeSettingsOf } from "../../model/rope-settings";
import { withDtype } from "./source-order";

type Json = Record<string, unknown>;

/** The source's config.json, with everything named that mlx-lm would take another value for. The source's own numbers are kept as they are written. */
export function mlxConfig({ config, spec }: Pick<Checkpoint, "config" | "spec">): Json {
  // A packed format is never asked for a model without a spec.
  const { headDim, kvHeads, maxPositions, eps, tied, slidingWindows } = spec!;
  const wanted: Json = {
    model_type: familyOf(config).title.toLowerCase(),
    head_dim: headDim,
    num_key_value_heads: kvHeads,
    max_position_embeddings: maxPositions,
    rms_norm_eps: eps,
  };
  const missing = Object.entries(wanted).filter(([name]) => config[name] === undefined || config[name] === null);
  const made: Json = { ...withDtype(config, "float16"), ...Object.fromEntries(missing), ...rope(config, spec!), tie_word_embeddings: tied };
  // mlx-lm looks for a block with full attention in the list.
  if (slidingWindows.every((window) => window > 0)) delete made.layer_types;
  return made;
}

/** mlx-lm's Llama and Qwen2 do not know rope_parameters, where transformers 5 keeps what was rope_theta and rope_scaling. */
function rope(config: Json, { ropeTheta, ropeScaling }: Model["spec"]): Json {
  const { settings } = ropeSettingsOf(config);
  const theta = { rope_theta: settings.rope_theta ?? config.rope_theta ?? ropeTheta };
  if (!("factor" in ropeScaling)) return theta;
  const original = "originalPositions" in ropeScaling ? { original_max_position_embeddings: ropeScaling.originalPositions } : {};
  return { ...theta, rope_scaling: { ...settings, ...original, factor: settings.factor ?? ropeScaling.factor } };
}

/** What mlx-lm 0.32 is known not to load, or to compute differently. */
export function mlxLimits({ config, spec }: Pick<Checkpoint, "config" | "spec">): string[] {
  if (!spec) return [];
  const { title } = familyOf(config);
  const window = Math.max(...spec.slidingWindows);
  const windowed = window > 0 && (title !== "Mistral" || spec.slidingWindows.every((w) => w > 0));
  return [
    ...(title === "Ministral" ? ["mlx-lm 0.32 has no model of the kind “ministral” and will not load it."] : []),
    ...(title === "Qwen3" && spec.biases.size ? ["mlx-lm 0.32 knows no biases in Qwen3’s attention and will not load it."] : []),
    ...(windowed ? [`mlx-lm 0.32 gives every block full attention: beyond ${window} tokens it computes something else.`] : []),
  ];
}
