import { recipeTitle } from "../../recipe/recipe";
import type { InterruptedRun } from "../../results/interrupted";
import { isBusy } from "../../store/next";
import { Button } from "../parts/Button";
import { strings } from "../strings";
import { useStudio, useStudioState } from "../studio";
import css from "./Interrupted.module.css";

const text = strings.run.interrupted;

/** Interrupted runs that can be resumed: blocks that are done survive a closed tab, a crash or a Cancel. */
export function Interrupted() {
  const runs = useStudioState((s) => s.interrupted);
  if (!runs.length) return null;
  return (
    <ul className={css.list} aria-label={text.title}>
      {runs.map((run) => (
        <InterruptedRow key={run.id} run={run} />
      ))}
    </ul>
  );
}

function InterruptedRow({ run }: { run: InterruptedRun }) {
  const studio = useStudio();
  const busy = useStudioState(isBusy);
  const { id, recipe, done, blocks } = run;
  const title = recipeTitle(recipe);
  return (
    <li className={css.row}>
      <span className={css.what}>
        <strong>{title}</strong>: {text.done(done, blocks)}
        {run.text && <span className={css.quiet}>, {text.on(run.text.label)}</span>}
      </span>
      <Button disabled={busy} onClick={() => studio.resume(id)}>
        {text.resume(done + 1, blocks)}
      </Button>
      <Button disabled={busy} aria-label={text.discardOf(title)} onClick={() => studio.discard(id)}>
        {text.discard}
      </Button>
    </li>
  );
}
