import { bitsText, type FormatId, formatNames } from "../../recipe/formats";
import type { ModelSummary } from "../../results/model";
import type { PlanSummary } from "../../results/plan";
import { bytes, count, roughly } from "../format";
import { strings } from "../strings";
import { useStudioState } from "../studio";
import css from "./RunBar.module.css";

export function PlanLine() {
  const plan = useStudioState((s) => s.plan);
  const model = useStudioState((s) => s.model.summary);
  const isDead = useStudioState((s) => s.gpu.status === "dead");
  const format = useStudioState((s) => s.recipe.format);
  if (!model) return <p className={css.plan}>{strings.run.planEmpty}</p>;
  if (model.packing !== null) return <p className={css.plan}>{strings.run.packed}</p>;
  if (plan.error) {
    const { about } = plan.error;
    return (
      <p className={css.plan}>{about === "text" ? strings.run.noText : about === "adapter" ? strings.run.noFit : strings.run.noPlan}</p>
    );
  }
  if (!plan.summary) return <p className={css.plan}>{isDead ? strings.run.noGpu : strings.run.planning}</p>;
  return (
    <div className={css.plan}>
      <p className={plan.pending ? css.pending : undefined}>
        {planParts(plan.summary, model, format).map((part, i) => (
          <span key={part}>
            {i > 0 && <span className={css.dot}> · </span>}
            <span className={css.part}>{part}</span>
          </span>
        ))}
      </p>
      {plan.summary.warnings.map((w) => (
        <p key={w} className={css.warning}>
          {w}
        </p>
      ))}
    </div>
  );
}

export function planParts(plan: PlanSummary, model: ModelSummary, format: FormatId): string[] {
  return [
    `${bytes(plan.bytesIn)} ${model.dtypes[0] ?? ""} → ${bytes(plan.bytesOut)} ${formatNames[format].short}`,
    bitsText(plan.bitsPerWeight, format),
    model.shape ? `${count(plan.tokens)} tokens` : strings.run.uncalibrated,
    ...(plan.heldOutWindows ? [strings.run.heldOut(plan.heldOutWindows)] : []),
    `peak GPU ~${bytes(plan.peakGpuBytes)}`,
    strings.run.memory(bytes(plan.peakHostBytes)),
    ...(plan.scratchBytes ? [strings.run.scratch(bytes(plan.scratchBytes))] : []),
    roughly(plan.seconds),
  ];
}
