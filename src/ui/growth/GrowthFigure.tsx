import { lazy, Suspense, useState } from "react";
import { evaluatedTexts, isQuantized } from "../../store/measuring";
import { isRunnable } from "../../store/next";
import { runsInSight } from "../../store/runs";
import { figure, percent } from "../format";
import { CheckField, SelectField } from "../parts/fields";
import { strings } from "../strings";
import { useStudioState } from "../studio";
import css from "./GrowthFigure.module.css";
import { GrowthTable } from "./GrowthTable";
import { LineSample } from "./LineSample";
import { LiveStrip } from "./LiveStrip";
import { type Curve, comparedCurves, curveOf, type GrowthView, growthRows } from "./rows";

const GrowthChart = lazy(() => import("./GrowthChart"));
const text = strings.growth;

export function GrowthFigure() {
  const runs = useStudioState(runsInSight);
  const under = useStudioState((s) => s.runs.find((r) => r.id === s.live.under && r.dragged) ?? null);
  const compared = useStudioState((s) => s.model.compared);
  const quantized = useStudioState(isQuantized);
  const runnable = useStudioState(isRunnable);
  const hasModel = useStudioState((s) => s.model.summary !== null);
  const [view, setView] = useState<GrowthView>({ relative: false, text: null });

  const texts = evaluatedTexts(runs);
  const shown: GrowthView = { ...view, text: texts.some((t) => t.key === view.text) ? view.text : null };
  const all = [...runs.filter((r) => !r.hidden).map((r) => curveOf(r, shown)), ...comparedCurves(compared, shown, runs)];
  const drawn = all.filter(({ points }) => points.length > 0);
  const faded = under && curveOf(under, shown);
  const rows = growthRows(faded ? [...drawn, faded] : drawn);
  const allHidden = runs.length > 0 && runs.every((r) => r.hidden);
  const format = shown.relative ? (x: number) => percent(x) : figure;

  return (
    <figure className={css.figure} aria-label={text.title}>
      <figcaption className={css.head}>
        <h2>
          {text.heading}
          <sub>m</sub>
        </h2>
        <span className={css.toggles}>
          <CheckField label={text.relative} checked={view.relative} onChange={(relative) => setView({ ...view, relative })} />
          {texts.length > 0 && (
            <span className={css.on}>
              <SelectField
                label={text.on}
                value={shown.text}
                options={[{ value: null, title: text.calibration }, ...texts.map((t) => ({ value: t.key, title: t.label }))]}
                onChange={(key) => setView({ ...view, text: key })}
              />
            </span>
          )}
        </span>
      </figcaption>
      {drawn.length > 0 || faded ? (
        <>
          <Suspense fallback={<p className={css.empty}>{text.loading}</p>}>
            <GrowthChart curves={drawn} under={faded} rows={rows} relative={shown.relative} format={format} />
          </Suspense>
          <ul className={css.legend}>
            {drawn.map((curve) => (
              <LegendItem key={curve.id} curve={curve} format={format} />
            ))}
          </ul>
          <LiveStrip />
          <GrowthTable curves={drawn} rows={rows} format={format} />
        </>
      ) : (
        <div className={css.empty}>
          {/* The chart's code arrives while the person is still at the recipe. */}
          {hasModel && <Preload />}
          <p>{!runnable ? text.uncalibrated : quantized ? text.quantized : allHidden ? text.hidden : text.empty}</p>
          <p className={css.what}>
            Δ<sub>m</sub> = ‖h<sub>m</sub> − ĥ<sub>m</sub>‖²: {text.what}
          </p>
        </div>
      )}
    </figure>
  );
}

function LegendItem({ curve: { slot, label, points }, format }: { curve: Curve; format: (x: number) => string }) {
  const last = points.at(-1);
  return (
    <li>
      <LineSample slot={slot} />
      <span>{label}</span>
      {last && <span className={css.last}>{format(last.value)}</span>}
    </li>
  );
}

function Preload() {
  import("./GrowthChart");
  return null;
}
