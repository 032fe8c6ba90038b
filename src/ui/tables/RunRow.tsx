import type { BlockReport } from "../../results/report";
import { measuredOn, onCalibration } from "../../store/measuring";
import { isRunnable } from "../../store/next";
import type { Measured, Run } from "../../store/state";
import { textLabel } from "../../store/texts";
import { bytes, duration, figure, percent, perplexityText, rise, runTitle, share } from "../format";
import { LineSample } from "../growth/LineSample";
import table from "../parts/table.module.css";
import { strings } from "../strings";
import { useStudio, useStudioState } from "../studio";
import css from "./RunsTable.module.css";

const text = strings.runs;

interface Props {
  run: Run;
  selected: boolean;
  /** Keys of the texts; each has three columns. */
  texts: string[];
  calibrated: boolean;
}

export function RunRow({ run, selected, texts, calibrated }: Props) {
  const studio = useStudio();
  const runnable = useStudioState(isRunnable);
  return (
    <tr className={selected ? css.selected : undefined}>
      <th scope="row" className={css.first}>
        <label className={css.recipe}>
          <input type="radio" name="selected-run" checked={selected} onChange={() => studio.select(run.id)} />
          <LineSample slot={run.slot} />
          <span>
            {text.select(run.number, runTitle(run))}
            <small className={css.quiet}>
              {run.dragged && `${text.following}, `}
              {runnable ? text.calibrated(textLabel(run.text, "calibration")) : text.uncalibrated}
            </small>
          </span>
        </label>
        {run.status === "failed" && <p className={css.failed}>{run.error?.message}</p>}
      </th>
      <Delta block={run.blocks.at(-1)} />
      {calibrated && <Perplexity of={run} measured={measuredOn(run, onCalibration)} />}
      {calibrated && <Beside measured={measuredOn(run, onCalibration)} />}
      {texts.flatMap((key) => {
        const measured = measuredOn(run, key);
        return [
          <Delta key={`delta ${key}`} block={measured?.evaluation.blocks.at(-1)} />,
          <Perplexity key={key} of={run} measured={measured} isOwn={measured?.own} />,
          <Beside key={`kl ${key}`} measured={measured} />,
        ];
      })}
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

/** Δ after the last block, and relative to ‖h‖², which can be compared between texts. */
function Delta({ block }: { block: BlockReport | undefined }) {
  return (
    <td className={table.number}>
      {block ? figure(block.delta) : "—"}
      {block && <small className={css.quiet}>{percent(block.relativeDelta)}</small>}
    </td>
  );
}

function Perplexity({ of, measured, isOwn = false }: { of: Run; measured: Measured | null; isOwn?: boolean }) {
  if (!measured) return <td className={table.number}>{of.status === "done" ? text.notMeasured : "—"}</td>;
  const { perplexityBefore: before, perplexity: after } = measured.evaluation;
  return (
    <td className={table.number}>
      {perplexityText(before)} → {perplexityText(after)}
      <small className={css.quiet}>
        {rise(before, after)}
        {isOwn && `, ${text.own}`}
      </small>
    </td>
  );
}

/** How far a run's predictions are from the original's. */
function Beside({ measured }: { measured: Measured | null }) {
  if (!measured) return <td className={table.number}>—</td>;
  const { kl, sameTop } = measured.evaluation.divergence;
  return (
    <td className={table.number}>
      {figure(kl.mean)}
      <small className={css.quiet}>{text.sameTop(share(sameTop.mean))}</small>
    </td>
  );
}
