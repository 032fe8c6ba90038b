import type { Run } from "../../store/state";
import { count, runTitle } from "../format";
import { LineSample } from "../growth/LineSample";
import table from "../parts/table.module.css";
import { strings } from "../strings";
import css from "./finish.module.css";

const text = strings.perplexity;

/** Perplexities of runs that were measured on the same windows. */
export function Results({ runs }: { runs: Run[] }) {
  const { textLabel, evaluation } = runs[0].measured!;
  return (
    <table className={table.table}>
      <caption className={css.caption}>{text.on(textLabel, count(evaluation.tokens))}</caption>
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
        </tr>
      </thead>
      <tbody>
        {runs.map((run) => (
          <Result key={run.id} run={run} />
        ))}
      </tbody>
    </table>
  );
}

function Result({ run }: { run: Run }) {
  const { perplexityBefore, perplexity } = run.measured!.evaluation;
  const rise = (perplexity / perplexityBefore - 1) * 100;
  return (
    <tr>
      <th scope="row">
        <span className={css.run}>
          <LineSample slot={run.slot} />
          {run.number}: {runTitle(run)}
        </span>
      </th>
      <td className={table.number}>{perplexityBefore.toFixed(3)}</td>
      <td className={table.number}>
        <strong>{perplexity.toFixed(3)}</strong>
      </td>
      <td className={table.number}>
        {rise >= 0 ? "+" : "−"}
        {Math.abs(rise).toFixed(1)} %
      </td>
    </tr>
  );
}
