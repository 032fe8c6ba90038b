import { compareWithPartner, type Ends } from "../../store/compare";
import { selectedRun } from "../../store/next";
import { runsInSight } from "../../store/runs";
import { perplexityText } from "../format";
import { strings } from "../strings";
import { useStudioState } from "../studio";
import css from "./RunsTable.module.css";

const text = strings.verdict;

/** How much longer the QEP run of a pair took than its base, and how much lower its error ends. */
export function Verdict() {
  const runs = useStudioState(runsInSight);
  // While the run of a dragged α goes on, the verdict on the finished one before it stays.
  const judged = useStudioState((s) => s.runs.find((r) => r.id === s.live.under) ?? selectedRun(s));
  const comparison = compareWithPartner(judged && !runs.includes(judged) ? [...runs, judged] : runs, judged);
  if (!comparison) return null;
  const { calibration, evaluations } = comparison;
  const holds = calibration.below && evaluations.every((e) => e.delta.below);
  return (
    <div className={`${css.verdict} ${holds ? css.holds : css.fails}`}>
      {comparison.timeRatio !== null && <p>{text.cost(comparison.qep.number, comparison.base.number, comparison.timeRatio)}</p>}
      <p>{text.calibration(endSentence(calibration))}</p>
      {evaluations.map(({ text: { key, label }, delta, perplexity: { qep, base } }) => (
        <p key={key}>{text.evaluation(label, endSentence(delta), perplexityText(qep), perplexityText(base))}</p>
      ))}
      {!evaluations.length && <p>{text.notMeasured}</p>}
    </div>
  );
}

function endSentence(ends: Ends): string {
  const by = Math.abs(ends.change) * 100;
  const amount = by < 10 ? by.toFixed(1) : by.toFixed(0);
  return ends.below ? text.below(amount) : text.above(amount);
}
