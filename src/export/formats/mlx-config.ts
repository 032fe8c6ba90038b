/** config.json as mlx-lm reads it: by names that some transformers versions do not write, and with defaults of its own for what is missing. */
import type { Checkpoint, Model } from "../../model/checkpoint";
import { familyOf } from "../../model/families";
import { ropeSettingsOf, yarnMagnitude } from "../../model/rope-settings";
import { withDtype } from "./source-order";

type Json = Record<string, unknown>;
type Yarn = Extract<Model["spec"]["ropeScaling"], { kind: "yarn" }>;

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
  const yarn = ropeScaling.kind === "yarn" ? magnitude(ropeScaling) : {};
  return { ...theta, rope_scaling: { ...settings, ...original, factor: settings.factor ?? ropeScaling.factor, ...yarn } };
}

/**
 * By what YaRN multiplies cos and sin. mlx-lm does not read attention_factor, and reads mscale where transformers does not (it wants both of them to be given):
 * it takes (0.1·mscale·ln factor + 1) / (0.1·mscale_all_dim·ln factor + 1), where factor > 1.
 */
const magnitude = ({ factor, attentionFactor }: Yarn): Json => ({
  attention_factor: attentionFactor,
  mscale: factor > 1 ? (attentionFactor - 1) / (yarnMagnitude(factor) - 1) : 1,
  mscale_all_dim: 0,
});

/** What of YaRN mlx-lm has no words for. */
function yarnLimits(rope: Model["spec"]["ropeScaling"]): string[] {
  if (rope.kind !== "yarn") return [];
  return [
    ...(rope.truncate
      ? []
      : ["mlx-lm 0.32 rounds the ends of YaRN’s ramp (truncate), which this model does not: it computes something else."]),
    ...(rope.factor > 1 || rope.attentionFactor === 1
      ? []
      : [
          `mlx-lm 0.32 does not know YaRN’s attention_factor ${rope.attentionFactor} with a factor of ${rope.factor}: it computes something else.`,
        ]),
  ];
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
    ...yarnLimits(spec.ropeScaling),
    ...(windowed ? [`mlx-lm 0.32 gives every block full attention: beyond ${window} tokens it computes something else.`] : []),
  ];
}
