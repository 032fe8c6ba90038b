import { ScrollBox } from "../parts/ScrollBox";
import table from "../parts/table.module.css";
import { strings } from "../strings";
import css from "./GrowthFigure.module.css";
import type { ChartRow, Curve } from "./rows";

/** The chart as a table, for screen readers and for copying. */
export function GrowthTable({ curves, rows, format }: { curves: Curve[]; rows: ChartRow[]; format: (x: number) => string }) {
  return (
    <details className={css.twin}>
      <summary>{strings.growth.table}</summary>
      <ScrollBox label={strings.growth.tableTitle}>
        <table className={table.table} aria-label={strings.growth.tableTitle}>
          <thead>
            <tr>
              <th scope="col">{strings.growth.unit}</th>
              {curves.map(({ id, label }) => (
                <th key={id} scope="col" className={table.number}>
                  {label}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {rows.map((row) => (
              <tr key={row.block}>
                <th scope="row">{row.block}</th>
                {curves.map(({ id }) => (
                  <td key={id} className={table.number}>
                    {row[id] === undefined ? "" : format(row[id])}
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </ScrollBox>
    </details>
  );
}
