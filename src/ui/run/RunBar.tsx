import { useId } from "react";
import { isBase, recipeTitle } from "../../recipe/recipe";
import { partnerRecipe } from "../../store/compare";
import { isBusy, isRunnable, missingPartner, nextStep, selectedRun } from "../../store/next";
import type { State } from "../../store/state";
import { Button } from "../parts/Button";
import { Heading } from "../parts/Heading";
import { strings } from "../strings";
import { useStudio, useStudioState } from "../studio";
import { Interrupted } from "./Interrupted";
import { PlanLine } from "./PlanLine";
import { ProgressBar } from "./ProgressBar";
import css from "./RunBar.module.css";
import { StatusLine } from "./StatusLine";

const text = strings.run;

/** The plan, the buttons, and what is happening; always in view. */
export function RunBar() {
  const studio = useStudio();
  const id = useId();
  const { step, busy, running, cancelling, canRun, partner, why } = useStudioState((s) => ({
    step: nextStep(s),
    busy: isBusy(s),
    running: s.job !== null,
    cancelling: s.job?.cancelling ?? false,
    canRun: s.model.summary !== null && s.model.summary.packing === null && s.plan.error === null && s.rulesFault === null,
    partner: missingPartner(s),
    why: whyOf(s),
  }));
  const run = () => {
    // Not asked for before there is something to lose: the browser may refuse, or ask the person.
    navigator.storage?.persist?.().catch(() => {});
    studio.run();
  };
  return (
    <section className={css.bar} aria-labelledby={id}>
      <div className={css.top}>
        <Heading id={id} step={3} title={text.title} />
        <PlanLine />
      </div>
      <ProgressBar />
      <Interrupted />
      <div className={css.doing}>
        <div className={css.buttons}>
          <Button primary={step === "run"} disabled={busy || !canRun} aria-describedby="status" onClick={run}>
            {text.run}
          </Button>
          <Button disabled={!running || cancelling} onClick={() => studio.cancel()}>
            {text.cancel}
          </Button>
          <Button
            primary={step === "baseline" && partner === "base"}
            disabled={busy || partner !== "base"}
            title={why}
            onClick={() => studio.addPartner("base")}
          >
            {text.baseline}
          </Button>
          {partner === "qep" && (
            <Button primary={step === "baseline"} disabled={busy} title={why} onClick={() => studio.addPartner("qep")}>
              {text.qep}
            </Button>
          )}
        </div>
        <StatusLine />
      </div>
    </section>
  );
}

function whyOf(state: State): string {
  const run = selectedRun(state);
  if (run?.status !== "done") return text.baselineWhy.noRun;
  if (!isRunnable(state)) return text.baselineWhy.uncalibrated;
  const partner = missingPartner(state);
  if (partner === null) return text.baselineWhy.there;
  return text.baselineWhy.ready(recipeTitle(partnerRecipe(run.recipe, state.recipe)) + (isBase(run.recipe) ? "" : " (α 0)"));
}
