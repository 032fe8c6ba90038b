/** The chart's lines. Loaded separately, because recharts is larger than the rest of the page. */
import { CartesianGrid, Line, LineChart, ResponsiveContainer, Tooltip, XAxis, YAxis } from "recharts";
import { blockTicks, isPlottable, logDomain } from "../chart-scale";
import { strings } from "../strings";
import css from "./GrowthFigure.module.css";
import { LineSample } from "./LineSample";
import { type ChartRow, type Curve, colourOf, dashOf } from "./rows";

interface Props {
  curves: Curve[];
  /** A finished curve that fades while another one grows over it. */
  under: Curve | null;
  rows: ChartRow[];
  relative: boolean;
  format: (x: number) => string;
}

const text = strings.growth;
const tick = { fill: "var(--ink-2)", fontSize: 12 };

export default function GrowthChart({ curves, under, rows, relative, format }: Props) {
  const { domain, ticks } = logDomain([...curves, ...(under ? [under] : [])].flatMap(({ id }) => rows.map((row) => row[id])));
  // A value that is not positive cannot be drawn on a log axis; the table below shows it.
  const plotted = rows.map((row) => Object.fromEntries(Object.entries(row).filter(([, value]) => isPlottable(value))));
  const summary = curves.map(({ id, title }) => {
    const last = rows.findLast((row) => row[id] !== undefined);
    return last && text.ends(title, format(last[id]));
  });
  return (
    <div className={css.chart} role="img" aria-label={`${text.title}. ${summary.filter(Boolean).join("; ")}.`}>
      <ResponsiveContainer width="100%" height="100%" initialDimension={{ width: 600, height: 300 }}>
        <LineChart data={plotted} margin={{ top: 8, right: 16, bottom: 22, left: 14 }} accessibilityLayer={false}>
          <CartesianGrid stroke="var(--line)" strokeWidth={1} />
          <XAxis
            dataKey="block"
            type="number"
            domain={[1, Math.max(2, rows.length)]}
            ticks={blockTicks(rows.length)}
            interval="preserveStartEnd"
            tick={tick}
            stroke="var(--line-strong)"
            label={{ value: text.block, position: "bottom", offset: 4, fill: "var(--ink-2)", fontSize: 12 }}
          />
          <YAxis
            scale="log"
            domain={domain}
            ticks={ticks}
            tickFormatter={format}
            allowDataOverflow
            tick={tick}
            width={64}
            stroke="var(--line-strong)"
            label={{ value: text.axis(relative), angle: -90, position: "insideLeft", offset: -4, fill: "var(--ink-2)", fontSize: 12 }}
          />
          <Tooltip
            isAnimationActive={false}
            cursor={{ stroke: "var(--line-strong)" }}
            content={({ active, label }) =>
              active ? <Values curves={curves} row={rows.find((r) => r.block === Number(label))} format={format} /> : null
            }
          />
          {under && (
            <Line
              key={under.id}
              dataKey={under.id}
              type="linear"
              className={css.under}
              stroke={colourOf(under.slot)}
              strokeWidth={2.25}
              strokeDasharray={dashOf(under.slot)}
              dot={false}
              activeDot={false}
              isAnimationActive={false}
            />
          )}
          {curves.map(({ id, slot, title, points }) => (
            <Line
              key={id}
              dataKey={id}
              name={title}
              type="linear"
              stroke={colourOf(slot)}
              strokeWidth={2.25}
              strokeDasharray={dashOf(slot)}
              dot={points.length === 1 ? { r: 3 } : false}
              activeDot={{ r: 4 }}
              isAnimationActive={false}
            />
          ))}
        </LineChart>
      </ResponsiveContainer>
    </div>
  );
}

function Values({ curves, row, format }: { curves: Curve[]; row: ChartRow | undefined; format: (x: number) => string }) {
  if (!row) return null;
  return (
    <div className={css.tooltip}>
      <p>
        {text.unit} {row.block}
      </p>
      <ul>
        {curves.map(
          ({ id, slot }) =>
            row[id] !== undefined && (
              <li key={id}>
                <LineSample slot={slot} />
                {format(row[id])}
              </li>
            ),
        )}
      </ul>
    </div>
  );
}
