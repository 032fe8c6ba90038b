import { riseText, withError } from "../../results/divergence";
import type { Evaluation, SideBySide } from "../../results/measures";
import { measuredOn, onCalibration } from "../../store/measuring";
import type { Run } from "../../store/state";
import { perplexityText, points, runTitle, share } from "../format";
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
    <table className={`${table.table} ${css.results}`}>
      <caption className={css.caption}>{of === onCalibration ? text.onCalibration : text.on(textLabel, windows, tokens / windows)}</caption>
      <Heads />
      {runs.map((run) => (
        <Result key={run.id} run={run} evaluation={measuredOn(run, of)!.evaluation} />
      ))}
    </table>
  );
}

function Result({ run, evaluation }: { run: Run; evaluation: Evaluation }) {
  return (
    <tbody>
      <tr>
        <th scope="rowgroup" colSpan={4}>
          <span className={css.run}>
            <LineSample slot={run.slot} />
            {run.number}: {runTitle(run)}
          </span>
        </th>
      </tr>
      <Figures of={evaluation} />
    </tbody>
  );
}

/** The heads of `Figures`. */
export const Heads = () => (
  <thead>
    <tr>
      {[text.before, text.after, text.kl, text.sameTop].map((title) => (
        <th key={title} scope="col" className={table.number}>
          {title}
        </th>
      ))}
    </tr>
  </thead>
);

/** Perplexities and divergence of two models, as a row. */
export function Figures({ of: { perplexityBefore, perplexity, divergence } }: { of: SideBySide }) {
  const { sameTop } = divergence;
  const [kl, klError] = withError(divergence.kl).split(" ± ");
  return (
    <tr>
      <td className={table.number}>{perplexityText(perplexityBefore)}</td>
      <td className={table.number}>
        <strong>{perplexityText(perplexity)}</strong>
        <small className={css.below}>{riseText(divergence)}</small>
      </td>
      <Figure value={kl} error={klError} />
      <Figure value={share(sameTop.mean)} error={Number.isFinite(sameTop.error) ? points(sameTop.error) : undefined} />
    </tr>
  );
}

/** A value with its standard error below, as the panel is narrow. */
function Figure({ value, error }: { value: string; error: string | undefined }) {
  return (
    <td className={table.number}>
      {value}
      {error && <small className={css.below}>± {error}</small>}
    </td>
  );
}
