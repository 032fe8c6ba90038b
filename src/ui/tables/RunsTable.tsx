import { useState } from "react";
import { type EvaluatedText, evaluatedTexts, measuredOn, onCalibration } from "../../store/measuring";
import { runsInSight } from "../../store/runs";
import { Panel } from "../parts/Panel";
import { ScrollBox } from "../parts/ScrollBox";
import { SortHeader } from "../parts/SortHeader";
import table from "../parts/table.module.css";
import { strings } from "../strings";
import { useStudioState } from "../studio";
import { RunActions } from "./RunActions";
import { RunRow } from "./RunRow";
import css from "./RunsTable.module.css";
import { runKeys, type Sorting, sorted } from "./sorting";
import { Verdict } from "./Verdict";

const text = strings.runs;

/** One row per run, with its Δ, perplexity and divergence from the original on its calibration text and on every text that runs were measured on. */
export function RunsTable() {
  const runs = useStudioState(runsInSight);
  const selected = useStudioState((s) => runs.find((r) => r.id === s.selected) ?? null);
  const [sorting, setSorting] = useState<Sorting<string> | null>(null);
  if (!runs.length) return null;
  const texts = evaluatedTexts(runs);
  // Where no run was measured on its calibration windows, the column would be empty.
  const calibrated = runs.some((r) => measuredOn(r, onCalibration));
  const keys = runKeys([onCalibration, ...texts.map((t) => t.key)]);
  return (
    <Panel title={text.title}>
      <ScrollBox label={text.title}>
        <table className={table.table} aria-label={text.title}>
          <Head texts={texts} calibrated={calibrated} sorting={sorting} onSort={setSorting} />
          <tbody>
            {sorted(runs, keys, sorting).map((run) => (
              <RunRow
                key={run.dragged ? "dragged" : run.id}
                run={run}
                selected={run === selected}
                texts={texts.map((t) => t.key)}
                calibrated={calibrated}
              />
            ))}
          </tbody>
        </table>
      </ScrollBox>
      {selected && <RunActions key={selected.id} run={selected} />}
      <Verdict />
    </Panel>
  );
}

interface HeadProps {
  texts: EvaluatedText[];
  calibrated: boolean;
  sorting: Sorting<string> | null;
  onSort: (sorting: Sorting<string>) => void;
}

function Head({ texts, calibrated, ...sort }: HeadProps) {
  const { recipe, delta, textDelta, perplexity, kl, size, time } = text.columns;
  return (
    <thead>
      <tr>
        <td />
        <th scope="colgroup" colSpan={calibrated ? 3 : 1} className={css.on}>
          {text.onCalibration}
        </th>
        {texts.map(({ key, label, windows, windowLength }) => (
          <th key={key} scope="colgroup" colSpan={3} className={css.on}>
            {text.on(label)} <small className={css.quiet}>{text.cut(windows, windowLength)}</small>
          </th>
        ))}
        <td colSpan={4} />
      </tr>
      <tr>
        <SortHeader column="recipe" title={recipe} {...sort} />
        <SortHeader column="delta" title={delta} numeric {...sort} />
        {calibrated && (
          <SortHeader
            column={`perplexity ${onCalibration}`}
            title={perplexity}
            label={text.sortOn(perplexity, text.own)}
            numeric
            {...sort}
          />
        )}
        {calibrated && <SortHeader column={`kl ${onCalibration}`} title={kl} label={text.sortOn(kl, text.own)} numeric {...sort} />}
        {texts.flatMap(({ key, label }) => [
          <SortHeader
            key={`delta ${key}`}
            column={`delta ${key}`}
            title={textDelta}
            label={text.sortOn(textDelta, label)}
            numeric
            {...sort}
          />,
          <SortHeader
            key={`perplexity ${key}`}
            column={`perplexity ${key}`}
            title={perplexity}
            label={text.sortOn(perplexity, label)}
            numeric
            {...sort}
          />,
          <SortHeader key={`kl ${key}`} column={`kl ${key}`} title={kl} label={text.sortOn(kl, label)} numeric {...sort} />,
        ])}
        <SortHeader column="size" title={size} numeric {...sort} />
        <SortHeader column="time" title={time} numeric {...sort} />
        <th scope="col">{text.shown}</th>
        <td />
      </tr>
    </thead>
  );
}
