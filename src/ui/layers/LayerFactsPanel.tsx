import { methodTitles } from "../../recipe/recipe";
import { count, dampingText, figure, percent } from "../format";
import { strings } from "../strings";
import { useStudio, useStudioState } from "../studio";
import { CurveFigure } from "./CurveFigure";
import { HistogramFigure } from "./HistogramFigure";
import css from "./LayerFactsPanel.module.css";
import { layerReportOf } from "./sources";

const text = strings.facts;

/** What is behind the chosen layer's error: its α curve, damping, inputs and weights. */
export function LayerFactsPanel() {
  const studio = useStudio();
  const name = useStudioState((s) => s.layer.name);
  const facts = useStudioState((s) => s.layer.facts);
  const shown = useStudioState((s) => (s.layer.name ? layerReportOf(s, s.layer.name) : null));
  if (!name || !shown) return <p className={css.empty}>{text.empty}</p>;
  const { layer } = shown;
  const shape = facts?.value?.shape;
  const rows: [string, string][] = [
    [text.size, shape ? `${count(shape[0])} × ${count(shape[1])}` : "…"],
    [text.bits, `${layer.bits}`],
    [text.error, percent(layer.relativeError)],
    [text.method, methodTitles[layer.method]],
    [text.alpha, `${layer.alpha}`],
    [text.damping, dampingOf(layer.damping, layer.retries)],
    [text.outliers, outliersOf(layer.outliers)],
  ];
  if (layer.heldOut) rows.push([text.heldOut, percent(layer.heldOut.relativeError)]);
  if (layer.fallback) rows.push([text.fallback, layer.fallback]);
  return (
    <section className={css.facts} aria-label={`Layer ${name}`}>
      <div className={css.head}>
        <h3>{name}</h3>
        <button type="button" className={css.close} onClick={() => studio.chooseLayer(null)}>
          {text.close}
        </button>
      </div>
      <div className={css.parts}>
        <CurveFigure shown={shown} />
        <div className={css.side}>
          <dl className={css.list}>
            {rows.map(([term, value]) => (
              <div key={term}>
                <dt>{term}</dt>
                <dd>{value}</dd>
              </div>
            ))}
          </dl>
          {facts?.value && <HistogramFigure before={facts.value.before} after={facts.value.after} />}
          {facts?.error && <p className={css.quiet}>{facts.error.message}</p>}
          {!facts && <p className={css.quiet}>{text.waiting}</p>}
        </div>
      </div>
    </section>
  );
}

function dampingOf(damping: number[], retries: number): string {
  if (!damping.length) return text.dampingNone;
  return dampingText(damping, retries) + (retries > 0 ? text.retries(retries) : "");
}

function outliersOf(outliers: { input: number; times: number }[]): string {
  if (!outliers.length) return text.outliersNone;
  return `${outliers.map((o) => text.outlier(o.input, figure(o.times))).join(", ")} (${text.outliersWhat})`;
}
