import { isBase, recipeTitle } from "../../recipe/recipe";
import type { Run } from "../../store/state";
import { duration, figure, percent } from "../format";
import { LineSample } from "../growth/LineSample";
import { Panel } from "../parts/Panel";
import { ScrollBox } from "../parts/ScrollBox";
import table from "../parts/table.module.css";
import { strings } from "../strings";
import { useStudio, useStudioState } from "../studio";
import css from "./RunsTable.module.css";
import { Verdict } from "./Verdict";

const text = strings.runs;

export function RunsTable() {
  const runs = useStudioState((s) => s.runs);
  const selected = useStudioState((s) => runs.find((r) => r.id === s.selected) ?? null);
  if (!runs.length) return null;
  return (
    <Panel title={text.title}>
      <ScrollBox label={text.title}>
        <table className={table.table} aria-label={text.title}>
          <thead>
            <tr>
              <th scope="col">{text.columns.recipe}</th>
              <th scope="col" className={`${table.number} ${css.wide}`}>
                {text.columns.bits}
              </th>
              <th scope="col" className={`${table.number} ${css.wide}`}>
                {text.columns.alpha}
              </th>
              <th scope="col" className={table.number}>
                {text.columns.delta}
              </th>
              <th scope="col" className={table.number}>
                {text.columns.relative}
              </th>
              <th scope="col" className={table.number}>
                {text.columns.perplexity}
              </th>
              <th scope="col" className={table.number}>
                {text.columns.time}
              </th>
              <td />
            </tr>
          </thead>
          <tbody>
            {runs.map((run) => (
              <RunRow key={run.id} run={run} selected={run === selected} />
            ))}
          </tbody>
        </table>
      </ScrollBox>
      <Verdict />
      {selected && selected.notes.length > 0 && (
        <details className={css.notes}>
          <summary>{text.notes(selected.notes.length)}</summary>
          <ul>
            {selected.notes.map((note, i) => (
              // biome-ignore lint/suspicious/noArrayIndexKey: notes are only ever appended
              <li key={i} className={note.level === "warning" ? css.warning : undefined}>
                {note.message}
              </li>
            ))}
          </ul>
        </details>
      )}
    </Panel>
  );
}

function RunRow({ run, selected }: { run: Run; selected: boolean }) {
  const studio = useStudio();
  const isRunning = run.status === "running";
  const last = run.blocks.at(-1);
  const before = run.measured?.evaluation.perplexityBefore;
  const after = run.measured?.evaluation.perplexity;
  return (
    <tr className={selected ? css.selected : undefined}>
      <th scope="row">
        <label className={css.recipe}>
          <input type="radio" name="selected-run" checked={selected} onChange={() => studio.select(run.id)} />
          <LineSample slot={run.slot} />
          <span>{text.select(run.number, recipeTitle(run.recipe))}</span>
        </label>
        {run.status === "failed" && <p className={css.failed}>{run.error?.message}</p>}
      </th>
      <td className={`${table.number} ${css.wide}`}>{run.recipe.bits}</td>
      <td className={`${table.number} ${css.wide}`}>{isBase(run.recipe) ? "0" : run.recipe.qep.alpha}</td>
      <td className={table.number}>{last ? figure(last.delta) : "—"}</td>
      <td className={table.number}>{last ? percent(last.relativeDelta) : "—"}</td>
      <td className={table.number}>
        {before !== undefined && after !== undefined
          ? `${before.toFixed(3)} → ${after.toFixed(3)}`
          : run.status === "done"
            ? text.notMeasured
            : "—"}
      </td>
      <td className={table.number}>{run.ms === null ? text.status[run.status] : duration(run.ms / 1000)}</td>
      <td>
        <button
          type="button"
          className={css.remove}
          aria-label={text.remove(run.number)}
          disabled={isRunning}
          onClick={() => studio.remove(run.id)}
        >
          ×
        </button>
      </td>
    </tr>
  );
}
