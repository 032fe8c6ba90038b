/** What an export would write, or what it waits for. */
import { formatTitles } from "../../recipe/recipe";
import { isQuantized } from "../../store/measuring";
import { selectedRun } from "../../store/next";
import { runsInSight } from "../../store/runs";
import type { State } from "../../store/state";
import { runTitle } from "../format";
import { strings } from "../strings";

const text = strings.export;

export function exportText(state: Pick<State, "model" | "runs" | "selected" | "live">): string {
  if (isQuantized(state)) return text.quantized;
  const run = selectedRun(state);
  if (run?.status !== "done") return runsInSight(state).some(({ status }) => status === "done") ? text.other : text.none;
  return run.held ? text.selected(run.number, runTitle(run), formatTitles[run.recipe.format]) : text.lost;
}
