import { useState } from "react";
import { isBusy, isRunnable } from "../../store/next";
import { runsInSight } from "../../store/runs";
import { isModelScorable, isScorable, tasksKey } from "../../store/scoring";
import { Button } from "../parts/Button";
import { Panel } from "../parts/Panel";
import { strings } from "../strings";
import { useStudio, useStudioState } from "../studio";
import css from "./finish.module.css";
import { TaskFields } from "./TaskFields";
import { ModelScores, RunScores } from "./TaskScores";

const text = strings.tasks;

/** Zero-shot tasks: which questions, the button that scores the runs on them, and how they were answered. */
export function TasksPanel() {
  const studio = useStudio();
  const runnable = useStudioState(isRunnable);
  const runs = useStudioState(runsInSight);
  const { settings, modelScores, busy } = useStudioState((s) => ({ settings: s.tasks, modelScores: s.model.scored, busy: isBusy(s) }));
  const [open, setOpen] = useState(false);
  const modelScorable = useStudioState(isModelScorable);
  const canScore = modelScorable || runs.some((r) => isScorable(r, tasksKey(settings)));
  const needsFile = settings.kind === "file" && !settings.file;
  const finished = modelScores.length > 0 || runs.some((r) => r.status === "done");
  const keys = new Set(runs.flatMap((r) => r.scored.map((s) => s.key)));

  return (
    <Panel title={text.title}>
      <div className={css.content}>
        <p className={css.quiet}>{text.what}</p>
        <div className={css.buttons}>
          <Button disabled={busy || !canScore || needsFile} onClick={() => studio.score()}>
            {text.score}
          </Button>
          <span className={css.quiet}>
            {!runnable ? text.uncalibrated : canScore ? needsFile && text.noFile : finished ? text.all : text.none}
          </span>
        </div>
        {modelScores.map((scored) => (
          <ModelScores key={scored.key} scored={scored} />
        ))}
        {[...keys].map((key) => (
          <RunScores key={key} runs={runs} of={key} />
        ))}
        <details open={open || (canScore && needsFile)} onToggle={(e) => setOpen(e.currentTarget.open)}>
          <summary>{text.which}</summary>
          <div className={css.inside}>
            <TaskFields />
          </div>
        </details>
      </div>
    </Panel>
  );
}
