import { isBusy } from "../../store/next";
import { DropTarget } from "../parts/DropTarget";
import table from "../parts/table.module.css";
import { strings } from "../strings";
import { useStudio, useStudioState } from "../studio";
import css from "./finish.module.css";
import { Figures, Heads } from "./Results";

const text = strings.compare;

/** The open checkpoint beside the one that it was made of. */
export function Comparisons() {
  const studio = useStudio();
  const busy = useStudioState(isBusy);
  const compared = useStudioState((s) => s.model.compared);
  return (
    <>
      <DropTarget texts={text} disabled={busy} onGiven={(given) => studio.measureAgainst(given)}>
        <h3>{text.title}</h3>
        <p className={css.quiet}>{text.what}</p>
      </DropTarget>
      {compared.map(({ original, textLabel, result }, at) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: comparisons are only added
        <table key={at} className={`${table.table} ${css.results}`}>
          <caption className={css.caption}>
            {text.result(original, textLabel, result.windows, result.tokens / result.windows)}
            {!result.blocks && ` ${text.noGrowth}`}
          </caption>
          <Heads />
          <tbody>
            <Figures of={result} />
          </tbody>
        </table>
      ))}
    </>
  );
}
