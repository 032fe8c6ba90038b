import { noDeltaTexts } from "../../results/divergence";
import { isBusy } from "../../store/next";
import { DropTarget } from "../parts/DropTarget";
import table from "../parts/table.module.css";
import { strings } from "../strings";
import { useStudio, useStudioState } from "../studio";
import css from "./finish.module.css";
import { Figures, Heads } from "./Results";

const text = strings.compare;

interface Props {
  /** What the place for the other checkpoint is called, and what it asks for. */
  texts: typeof text;
  /** False where a heading stands above it. */
  heading?: boolean;
}

/** The open checkpoint beside the one that it was made of. */
export function Comparisons({ texts, heading = true }: Props) {
  const studio = useStudio();
  const busy = useStudioState(isBusy);
  const compared = useStudioState((s) => s.model.compared);
  return (
    <>
      <DropTarget texts={texts} disabled={busy} onGiven={(given) => studio.measureAgainst(given)}>
        {heading && <h3>{texts.title}</h3>}
        <p className={css.quiet}>{texts.what}</p>
      </DropTarget>
      {compared.map(({ original, textLabel, result }, at) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: comparisons are only added
        <table key={at} className={`${table.table} ${css.results}`}>
          <caption className={css.caption}>
            {text.result(original, textLabel, result.windows, result.tokens / result.windows)}
            {result.noDelta && ` ${text.noDelta(noDeltaTexts[result.noDelta])}`}
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
