import { type Comparison, compare, type Ends } from "../../store/compare";
import { selectedRun } from "../../store/next";
import type { Run } from "../../store/state";
import { duration } from "../format";
import { strings } from "../strings";
import { useStudioState } from "../studio";
import css from "./RunsTable.module.css";

const text = strings.verdict;

/** What QEP cost the selected run over its base, and what it bought. */
export function Verdict() {
  const runs = useStudioState((s) => s.runs);
  const selected = useStudioState(selectedRun);
  const comparison = compare(runs, selected);
  if (!comparison) return null;
  const { calibration, evaluation } = comparison;
  const holds = calibration.below && (evaluation?.delta.below ?? true);
  return (
    <div className={`${css.verdict} ${holds ? css.holds : css.fails}`}>
      <p>{costSentence(comparison)}</p>
      <p>{text.calibration(endSentence(calibration))}</p>
      <p>
        {evaluation
          ? text.evaluation(endSentence(evaluation.delta), evaluation.perplexity.qep.toFixed(3), evaluation.perplexity.base.toFixed(3))
          : text.notMeasured}
      </p>
    </div>
  );
}

export function costSentence({ base, qep, timeRatio }: Comparison): string {
  if (timeRatio !== null) return text.cost(qep.number, base.number, timeRatio);
  const [fresh, kept] = base.streamKept ? [qep, base] : [base, qep];
  return text.uneven(fresh.number, timeOf(fresh), kept.number, timeOf(kept));
}

const timeOf = (run: Run) => duration((run.ms ?? 0) / 1000);

export function endSentence(ends: Ends): string {
  const by = Math.abs(ends.change) * 100;
  const amount = by < 10 ? by.toFixed(1) : by.toFixed(0);
  return ends.below ? text.below(amount) : text.above(amount);
}
