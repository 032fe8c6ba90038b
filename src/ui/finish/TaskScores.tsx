import type { ReactNode } from "react";
import type { AccuracyChange, TaskScore } from "../../results/measures";
import type { Run, Scored } from "../../store/state";
import { count, points, runTitle, share } from "../format";
import { LineSample } from "../growth/LineSample";
import { ScrollBox } from "../parts/ScrollBox";
import table from "../parts/table.module.css";
import { strings } from "../strings";
import css from "./finish.module.css";

const text = strings.tasks;
/** A change less likely by chance than this is set bold. */
const rare = 0.05;
const ways = ["accuracy", "normalizedAccuracy"] as const;

/** How each run's answers compare with the checkpoint's on the same questions, one row per kind of question. */
export function RunScores({ runs, of }: { runs: Run[]; of: string }) {
  const scored = runs.flatMap((run) => run.scored.filter((s) => s.key === of).map((s) => ({ run, ...s })));
  const totals = scored.flatMap((s) => s.result.changes!.slice(-1));
  const { questions } = totals[0];
  const most = Math.max(...totals.flatMap((t) => ways.map((way) => t[way].error)));
  return (
    <>
      <Scores label={text.on(scored[0].label, count(questions))} columns={[text.before, text.after, text.change, text.changed]}>
        {scored.map(({ run, result }) => (
          <tbody key={run.id}>
            <tr>
              <th scope="rowgroup" colSpan={2 + 4 * ways.length} className={css.group}>
                <span className={css.run}>
                  <LineSample slot={run.slot} />
                  {text.run(run.number, runTitle(run))}
                </span>
              </th>
            </tr>
            {result.changes!.map((row) => (
              <Kind key={row.kind} kind={row.kind} questions={row.questions}>
                {ways.map((way) => (
                  <Change key={way} change={row[way]} />
                ))}
              </Kind>
            ))}
          </tbody>
        ))}
      </Scores>
      <p className={css.quiet}>{text.chance(count(questions), most > 0 ? points(most) : null)}</p>
    </>
  );
}

/** The scores of a checkpoint that is quantized already, which there is nothing to compare with. */
export function ModelScores({ scored: { label, result } }: { scored: Scored }) {
  const all = result.scores.at(-1)!;
  return (
    <>
      <Scores label={text.on(label, count(all.questions))} columns={[text.accuracy]}>
        <tbody>
          {result.scores.map((row) => (
            <Kind key={row.kind} kind={row.kind} questions={row.questions}>
              <td className={table.number}>{shareOf(row, "accuracy")}</td>
              <td className={table.number}>{shareOf(row, "normalizedAccuracy")}</td>
            </Kind>
          ))}
        </tbody>
      </Scores>
      <p className={css.quiet}>
        {text.chanceAlone(count(all.questions), points(Math.max(all.accuracyError, all.normalizedAccuracyError)))}
      </p>
    </>
  );
}

const shareOf = (row: TaskScore, way: "accuracy" | "normalizedAccuracy") => `${share(row[way])} ± ${points(row[`${way}Error`])}`;

/** A table of both accuracies side by side (by likelihood, and by likelihood per byte), each with these columns. */
function Scores({ label, columns, children }: { label: string; columns: string[]; children: ReactNode }) {
  const single = columns.length === 1;
  return (
    <ScrollBox label={text.title}>
      <table className={table.table}>
        <caption className={css.caption}>{label}</caption>
        <thead>
          <tr>
            <th scope="col" rowSpan={single ? 1 : 2}>
              {text.kind}
            </th>
            <th scope="col" rowSpan={single ? 1 : 2} className={table.number}>
              {text.questions}
            </th>
            {[text.accuracy, text.normalized].map((way) => (
              <th key={way} scope={single ? "col" : "colgroup"} colSpan={columns.length} className={single ? table.number : css.way}>
                {way}
              </th>
            ))}
          </tr>
          {!single && (
            <tr>
              {ways.flatMap((way) =>
                columns.map((column) => (
                  <th key={`${way} ${column}`} scope="col" className={table.number}>
                    {column}
                  </th>
                )),
              )}
            </tr>
          )}
        </thead>
        {children}
      </table>
    </ScrollBox>
  );
}

function Kind({ kind, questions, children }: { kind: string; questions: number; children: ReactNode }) {
  return (
    <tr>
      <th scope="row" className={css.kind}>
        {kind}
      </th>
      <td className={table.number}>{count(questions)}</td>
      {children}
    </tr>
  );
}

function Change({ change: { before, after, error, lost, won, chance } }: { change: AccuracyChange }) {
  const sign = won === lost ? "" : won < lost ? "−" : "+";
  const said = `${sign}${points(Math.abs(after - before))} ± ${points(error)}`;
  return (
    <>
      <td className={`${table.number} ${css.before}`}>{share(before)}</td>
      <td className={table.number}>{share(after)}</td>
      <td className={table.number}>{chance < rare ? <strong>{said}</strong> : said}</td>
      <td className={table.number}>
        {lost}, {won}
      </td>
    </>
  );
}
