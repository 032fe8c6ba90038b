import { useState } from "react";
import { runsInSight } from "../../store/runs";
import type { Run } from "../../store/state";
import { bytes, duration, figure, percent, runTitle } from "../format";
import { LineSample } from "../growth/LineSample";
import { Panel } from "../parts/Panel";
import { ScrollBox } from "../parts/ScrollBox";
import { SortHeader } from "../parts/SortHeader";
import table from "../parts/table.module.css";
import { strings } from "../strings";
import { useStudio, useStudioState } from "../studio";
import { RunActions } from "./RunActions";
import css from "./RunsTable.module.css";
import { type RunColumn, runColumns, runKeys, type Sorting, sorted } from "./sorting";
import { Verdict } from "./Verdict";

const text = strings.runs;

export function RunsTable() {
  const runs = useStudioState(runsInSight);
  const selected = useStudioState((s) => runs.find((r) => r.id === s.selected) ?? null);
  const [sorting, setSorting] = useState<Sorting<RunColumn> | null>(null);
  if (!runs.length) return null;
  return (
    <Panel title={text.title}>
      <ScrollBox label={text.title}>
        <table className={table.table} aria-label={text.title}>
          <thead>
            <tr>
              {runColumns.map((column) => (
                <SortHeader
                  key={column}
                  column={column}
                  title={text.columns[column]}
                  sorting={sorting}
                  onSort={setSorting}
                  numeric={column !== "recipe"}
                />
              ))}
              <th scope="col">{text.shown}</th>
              <td />
            </tr>
          </thead>
          <tbody>
            {sorted(runs, runKeys, sorting).map((run) => (
              <RunRow key={run.dragged ? "dragged" : run.id} run={run} selected={run === selected} />
            ))}
          </tbody>
        </table>
      </ScrollBox>
      {selected && <RunActions key={selected.id} run={selected} />}
      <Verdict />
    </Panel>
  );
}

function RunRow({ run, selected }: { run: Run; selected: boolean }) {
  const studio = useStudio();
  const last = run.blocks.at(-1);
  return (
    <tr className={selected ? css.selected : undefined}>
      <th scope="row">
        <label className={css.recipe}>
          <input type="radio" name="selected-run" checked={selected} onChange={() => studio.select(run.id)} />
          <LineSample slot={run.slot} />
          <span>
            {text.select(run.number, runTitle(run))}
            {run.dragged && <small className={css.following}>{text.following}</small>}
          </span>
        </label>
        {run.status === "failed" && <p className={css.failed}>{run.error?.message}</p>}
      </th>
      <td className={table.number}>{last ? figure(last.delta) : "—"}</td>
      <td className={table.number}>{last ? percent(last.relativeDelta) : "—"}</td>
      <td className={table.number}>{perplexityOf(run)}</td>
      <td className={table.number}>{run.bytesOut === null ? "—" : bytes(run.bytesOut)}</td>
      <td className={table.number}>{run.ms === null ? text.status[run.status] : duration(run.ms / 1000)}</td>
      <td>
        <input
          type="checkbox"
          className={css.show}
          aria-label={text.show(run.number)}
          checked={!run.hidden}
          onChange={(e) => studio.setHidden(run.id, !e.target.checked)}
        />
      </td>
      <td>
        <button
          type="button"
          className={css.remove}
          aria-label={text.remove(run.number)}
          disabled={run.status === "running"}
          onClick={() => studio.remove(run.id)}
        >
          ×
        </button>
      </td>
    </tr>
  );
}

function perplexityOf(run: Run): string {
  if (!run.measured) return run.status === "done" ? text.notMeasured : "—";
  const { perplexityBefore, perplexity } = run.measured.evaluation;
  return `${perplexityBefore.toFixed(3)} → ${perplexity.toFixed(3)}`;
}
