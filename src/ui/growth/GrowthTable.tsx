import type { Run } from "../../store/state";
import { runTitle } from "../format";
import { ScrollBox } from "../parts/ScrollBox";
import table from "../parts/table.module.css";
import { strings } from "../strings";
import css from "./GrowthFigure.module.css";
import type { ChartRow } from "./rows";

/** The chart as a table, for screen readers and for copying. */
export function GrowthTable({ runs, rows, format }: { runs: Run[]; rows: ChartRow[]; format: (x: number) => string }) {
  return (
    <details className={css.twin}>
      <summary>{strings.growth.table}</summary>
      <ScrollBox label={strings.growth.tableTitle}>
        <table className={table.table} aria-label={strings.growth.tableTitle}>
          <thead>
            <tr>
              <th scope="col">{strings.growth.unit}</th>
              {runs.map((run) => (
                <th key={run.id} scope="col" className={table.number}>
                  {run.number}: {runTitle(run)}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {rows.map((row) => (
              <tr key={row.block}>
                <th scope="row">{row.block}</th>
                {runs.map((run) => (
                  <td key={run.id} className={table.number}>
                    {row[run.id] === undefined ? "" : format(row[run.id])}
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
