import { riseText, sameTopText, withError } from "../../results/divergence";
import type { Evaluation } from "../../results/measures";
import { measuredOn, onCalibration } from "../../store/measuring";
import type { Run } from "../../store/state";
import { perplexityText, runTitle } from "../format";
import { LineSample } from "../growth/LineSample";
import table from "../parts/table.module.css";
import { strings } from "../strings";
import css from "./finish.module.css";

const text = strings.perplexity;

/** Perplexities, and divergences from the original, of runs that were measured on the same windows, or each on its own calibration windows. */
export function Results({ runs, of }: { runs: Run[]; of: string }) {
  if (!runs.length) return null;
  const { textLabel, evaluation } = measuredOn(runs[0], of)!;
  const { windows, tokens } = evaluation;
  return (
    <table className={table.table}>
      <caption className={css.caption}>{of === onCalibration ? text.onCalibration : text.on(textLabel, windows, tokens / windows)}</caption>
      <thead>
        <tr>
          <th scope="col">{text.run}</th>
          <th scope="col" className={table.number}>
            {text.before}
          </th>
          <th scope="col" className={table.number}>
            {text.after}
          </th>
          <td />
          <th scope="col" className={table.number}>
            {text.kl}
          </th>
          <th scope="col" className={table.number}>
            {text.sameTop}
          </th>
        </tr>
      </thead>
      <tbody>
        {runs.map((run) => (
          <Result key={run.id} run={run} evaluation={measuredOn(run, of)!.evaluation} />
        ))}
      </tbody>
    </table>
  );
}

function Result({ run, evaluation }: { run: Run; evaluation: Evaluation }) {
  const { perplexityBefore: before, perplexity: after, divergence } = evaluation;
  return (
    <tr>
      <th scope="row">
        <span className={css.run}>
          <LineSample slot={run.slot} />
          {run.number}: {runTitle(run)}
        </span>
      </th>
      <td className={table.number}>{perplexityText(before)}</td>
      <td className={table.number}>
        <strong>{perplexityText(after)}</strong>
      </td>
      <td className={table.number}>{riseText(divergence)}</td>
      <td className={table.number}>{withError(divergence.kl)}</td>
      <td className={table.number}>{sameTopText(divergence)}</td>
    </tr>
  );
}
