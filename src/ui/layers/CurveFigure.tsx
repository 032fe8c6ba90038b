import { alphaOf } from "../../recipe/rules";
import type { AlphaCurve } from "../../results/report";
import { percent } from "../format";
import { strings } from "../strings";
import { useStudioState } from "../studio";
import css from "./CurveFigure.module.css";
import { bestAlpha, curveOf, errorAt, type LayerOfRun } from "./sources";

const text = strings.facts.curve;
const width = 340;
const height = 190;
const left = 52;
const right = 12;
const top = 10;
const bottom = 30;

/** The layer's error as a parabola in α: exact, so the slider's mark moves at once. */
export function CurveFigure({ shown }: { shown: LayerOfRun }) {
  const source = useStudioState((s) => curveOf(s, shown));
  const alpha = useStudioState((s) => alphaOf(s.recipe, shown.layer.name));
  const given = useStudioState((s) => s.recipe.qep.choice !== "best");
  if (!source) return <p className={css.quiet}>{text.none}</p>;
  const { curve } = source;
  const held = source.layer.heldOut?.curve ?? null;
  const best = bestAlpha(curve);
  const own = source.run === shown.run;
  const measured = { alpha: shown.layer.alpha, error: shown.layer.relativeError };
  const heights = [curve, held].flatMap((c) => (c ? [c.base, errorAt(c, 1)] : []));
  const most = niceCeil(Math.max(...heights, measured.error));
  const x = (a: number) => left + a * (width - left - right);
  const y = (e: number) => top + (1 - e / most) * (height - top - bottom);
  const path = (c: AlphaCurve) =>
    Array.from({ length: 41 }, (_, i) => `${x(i / 40).toFixed(1)},${y(errorAt(c, i / 40)).toFixed(1)}`).join(" ");
  const points = [
    { key: "base", mark: "base", at: 0, error: curve.base, say: text.base },
    { key: "best", mark: "best", at: best, error: errorAt(curve, best), say: text.best(best.toFixed(2)) },
    ...(given ? ([{ key: "now", mark: "now", at: alpha, error: errorAt(curve, alpha), say: text.now(alpha.toFixed(2)) }] as const) : []),
    { key: "measured", mark: "measured", at: measured.alpha, error: measured.error, say: text.measured(measured.alpha.toFixed(2)) },
  ] as const;
  return (
    <figure className={css.figure} aria-label={text.title}>
      <figcaption>{text.title}</figcaption>
      <svg viewBox={`0 0 ${width} ${height}`} aria-hidden="true" focusable="false">
        {[0, 0.5, 1].map((part) => (
          <g key={part}>
            <line className={css.grid} x1={left} x2={width - right} y1={y(part * most)} y2={y(part * most)} />
            <text className={css.tick} x={left - 6} y={y(part * most) + 4} textAnchor="end">
              {percent(part * most, 2)}
            </text>
          </g>
        ))}
        {[0, 0.25, 0.5, 0.75, 1].map((a) => (
          <text key={a} className={css.tick} x={x(a)} y={height - 12} textAnchor="middle">
            {a}
          </text>
        ))}
        <text className={css.tick} x={x(0.5)} y={height - 1} textAnchor="middle">
          {text.axis}
        </text>
        {given && <line className={css.slider} x1={x(alpha)} x2={x(alpha)} y1={top} y2={height - bottom} />}
        {held && <polyline className={css.held} points={path(held)} />}
        <polyline className={css.curve} points={path(curve)} />
        {points.map((p) => (
          <g key={p.key} transform={`translate(${x(p.at).toFixed(1)} ${y(p.error).toFixed(1)})`}>
            <Mark kind={p.mark} />
          </g>
        ))}
      </svg>
      <dl className={css.twin}>
        {points.map((p) => (
          <div key={p.key}>
            <dt>
              <svg viewBox="-8 -8 16 16" width="16" height="16" aria-hidden="true" focusable="false">
                <Mark kind={p.mark} />
              </svg>
              {p.say}
            </dt>
            <dd>{percent(p.error)}</dd>
          </div>
        ))}
      </dl>
      {held && (
        <p className={css.quiet}>
          {text.heldOut(bestAlpha(held).toFixed(2), percent(errorAt(held, bestAlpha(held))), percent(errorAt(held, 0.5)))}
        </p>
      )}
      <p className={css.quiet}>{own ? text.exact : text.from(source.run.number)}</p>
    </figure>
  );
}

/** The marks differ in shape, not in colour alone. */
function Mark({ kind }: { kind: "base" | "best" | "now" | "measured" }) {
  if (kind === "base") return <circle className={css.base} r="4.5" />;
  if (kind === "best") return <path className={css.best} d="M0 -6 L6 0 L0 6 L-6 0 Z" />;
  if (kind === "now") return <circle className={css.now} r="5" />;
  return <rect className={css.measured} x="-4.5" y="-4.5" width="9" height="9" />;
}

/** 1, 2 or 5 times a power of ten. */
function niceCeil(value: number): number {
  if (!(value > 0) || !Number.isFinite(value)) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return ([1, 2, 3, 5, 10].find((step) => step * power >= value) ?? 10) * power;
}
