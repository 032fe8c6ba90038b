import { canFollow } from "../../store/live";
import { finishedAlphas } from "../../store/runs";
import { CheckField, RangeField } from "../parts/fields";
import { strings } from "../strings";
import { useStudio, useStudioState } from "../studio";
import css from "./LiveStrip.module.css";

const text = strings.live;

/** The α slider under the chart, whose curve follows it. Shown once there is a finished run to start from. */
export function LiveStrip() {
  const studio = useStudio();
  const ready = useStudioState(canFollow);
  const on = useStudioState((s) => s.live.on);
  const alpha = useStudioState((s) => s.recipe.qep.alpha);
  const finished = useStudioState((s) => finishedAlphas(s).map((r) => r.recipe.qep.alpha));
  const waits = useStudioState((s) => s.job !== null && !s.job.live);
  if (!ready) return null;
  const choose = (a: number) => studio.editRecipe({ qep: { alpha: a } });
  return (
    <fieldset className={css.strip} aria-label={text.group}>
      <div className={css.slider}>
        <RangeField
          label={text.slider}
          value={alpha}
          min={0}
          max={1}
          step={0.05}
          spoken={strings.recipe.alphaSpoken(alpha)}
          hint={on ? (waits ? text.waits : text.what) : text.off}
          onChange={choose}
        />
      </div>
      <CheckField label={text.toggle} checked={on} onChange={studio.setLive} />
      <div className={css.finished}>
        <span>{text.finished}</span>
        {finished.map((a) => (
          <button key={a} type="button" className={css.chip} aria-pressed={a === alpha} onClick={() => choose(a)}>
            {text.recall(a)}
          </button>
        ))}
      </div>
    </fieldset>
  );
}
