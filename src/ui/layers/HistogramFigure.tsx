import type { LayerFacts } from "../../results/facts";
import { count, figure } from "../format";
import { ScrollBox } from "../parts/ScrollBox";
import table from "../parts/table.module.css";
import { strings } from "../strings";
import css from "./HistogramFigure.module.css";

const text = strings.facts.histogram;
const width = 340;
const height = 130;
const bottom = 18;

/** Histograms of a layer's weights: before as a filled shape, after as a line over it. */
export function HistogramFigure({ before, after }: Pick<LayerFacts, "before" | "after">) {
  const most = Math.max(1, ...before.counts, ...(after?.counts ?? []));
  const step = width / before.counts.length;
  const y = (n: number) => (1 - n / most) * (height - bottom - 4) + 4;
  const outline = (counts: number[]) =>
    `M0 ${height - bottom} ${counts.map((n, i) => `V${y(n).toFixed(1)} H${((i + 1) * step).toFixed(1)}`).join(" ")} V${height - bottom}`;
  const edge = (i: number) => before.low + ((before.high - before.low) * i) / before.counts.length;
  return (
    <figure className={css.figure} aria-label={text.title}>
      <figcaption>
        {text.title}
        <span className={css.keys}>
          <span className={css.keyBefore} /> {text.before}
          {after && (
            <>
              <span className={css.keyAfter} /> {text.after}
            </>
          )}
        </span>
      </figcaption>
      <svg viewBox={`0 0 ${width} ${height}`} aria-hidden="true" focusable="false">
        <path className={css.before} d={outline(before.counts)} />
        {after && <path className={css.after} d={outline(after.counts)} />}
        <line className={css.axis} x1="0" x2={width} y1={height - bottom} y2={height - bottom} />
        {[
          { at: 0, anchor: "start" as const },
          { at: 0.5, anchor: "middle" as const },
          { at: 1, anchor: "end" as const },
        ].map(({ at, anchor }) => (
          <text key={at} className={css.tick} x={at * width} y={height - 4} textAnchor={anchor}>
            {figure(edge(at * before.counts.length))}
          </text>
        ))}
      </svg>
      {!after && <p className={css.quiet}>{text.none}</p>}
      <details>
        <summary>{strings.growth.table}</summary>
        <ScrollBox label={text.title} tall>
          <table className={table.table} aria-label={text.title}>
            <thead>
              <tr>
                <th scope="col">{text.bin}</th>
                <th scope="col" className={table.number}>
                  {text.before}
                </th>
                <th scope="col" className={table.number}>
                  {text.after}
                </th>
              </tr>
            </thead>
            <tbody>
              {before.counts.map((n, i) => (
                <tr key={edge(i)}>
                  <th scope="row">{figure(edge(i))}</th>
                  <td className={table.number}>{count(n)}</td>
                  <td className={table.number}>{after ? count(after.counts[i]) : "—"}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </ScrollBox>
      </details>
    </figure>
  );
}
