import { useEffect } from "react";
import { leastGpuMemory } from "../results/adapter";
import { bytes } from "./format";
import css from "./GpuPanel.module.css";
import { NumberField } from "./parts/fields";
import { Panel } from "./parts/Panel";
import { strings } from "./strings";
import { useStudio, useStudioState } from "./studio";

const text = strings.gpuPanel;

/** Which device computes, its limits, and how much of its memory is in use. */
export function GpuPanel() {
  const studio = useStudio();
  const facts = useStudioState((s) => s.gpu.facts);
  const live = useStudioState((s) => s.liveBytes);
  const peak = useStudioState((s) => s.runs.findLast((r) => r.peakGpuBytes !== null)?.peakGpuBytes ?? null);
  useEffect(() => studio.pollLiveBytes(), [studio]);
  const memory = useStudioState((s) => s.gpuMemory);
  if (!facts) return null;
  return (
    <Panel title={text.title}>
      <dl className={css.list}>
        <div>
          <dt>{text.adapter}</dt>
          <dd>{facts.description}</dd>
        </div>
        {facts.limits && (
          <div>
            <dt>{text.limits}</dt>
            <dd>{text.limitsOf(bytes(facts.limits.buffer), bytes(facts.limits.binding))}</dd>
          </div>
        )}
        <div>
          <dt>{text.live}</dt>
          <dd>{live === null ? text.none : bytes(live)}</dd>
        </div>
        <div>
          <dt>{text.peak}</dt>
          <dd>{peak === null ? text.none : bytes(peak)}</dd>
        </div>
      </dl>
      <NumberField
        label={text.memory}
        hint={text.memoryHint}
        value={memory}
        blank={text.memoryBlank}
        min={leastGpuMemory / 2 ** 30}
        step="any"
        onChange={studio.limitMemory}
      />
      {(facts.software || facts.kind === "cpu") && <p className={css.note}>{facts.kind === "cpu" ? text.reference : text.software}</p>}
    </Panel>
  );
}
