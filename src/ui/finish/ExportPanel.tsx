import { useState } from "react";
import { formatTitles } from "../../recipe/recipe";
import { isQuantized } from "../../store/measuring";
import { canExport, nextStep, selectedRun } from "../../store/next";
import type { Run } from "../../store/state";
import { runTitle } from "../format";
import { Alert } from "../parts/Alert";
import { Button } from "../parts/Button";
import { Panel } from "../parts/Panel";
import { canPickFolder, download, exportName, keepFile, pickFolder } from "../save";
import { strings } from "../strings";
import { useStudio, useStudioState } from "../studio";
import css from "./finish.module.css";
import { Written } from "./Written";

const text = strings.export;

export function ExportPanel() {
  const studio = useStudio();
  const run = useStudioState(selectedRun);
  const label = useStudioState((s) => s.model.summary?.label ?? "");
  const ready = useStudioState(canExport);
  const isNext = useStudioState((s) => nextStep(s) === "export");
  const quantized = useStudioState(isQuantized);
  const [refused, setRefused] = useState<string | null>(null);
  /** The last zip, which the browser may still be copying. */
  const [saving, setSaving] = useState<string | null>(null);
  const name = run ? exportName(label, run.recipe) : "";

  async function toZip() {
    setRefused(null);
    const written = await studio.exportRun({ kind: "zip", name });
    if (!written?.zip) return;
    keepFile(written.zip.lock);
    download(written.zip.file, `${name}.zip`);
    setSaving(`${name}.zip`);
  }

  async function toFolder() {
    setRefused(null);
    try {
      const handle = await pickFolder();
      if (handle) await studio.exportRun({ kind: "folder", handle, name });
    } catch (cause) {
      setRefused(text.noFolder(cause instanceof Error ? cause.message : String(cause)));
    }
  }

  return (
    <Panel title={text.title} step={5}>
      <div className={css.content}>
        <p className={css.quiet}>{text.what}</p>
        <div className={css.buttons}>
          <Button primary={isNext} disabled={!ready} onClick={canPickFolder() ? toFolder : toZip}>
            {text.button}
          </Button>
          {canPickFolder() && (
            <Button disabled={!ready} onClick={toZip}>
              {text.zip}
            </Button>
          )}
        </div>
        {refused && <Alert>{refused}</Alert>}
        {saving && <p className={css.quiet}>{text.saving(saving)}</p>}
        <p className={css.quiet}>{quantized ? text.quantized : run ? whatOf(run) : text.none}</p>
        {run?.exported && (
          <Written name={run.exported.name} files={run.exported.summary.files} certificate={run.exported.summary.certificate} />
        )}
      </div>
    </Panel>
  );
}

function whatOf(run: Run): string {
  if (run.status !== "done") return text.none;
  return run.held ? text.selected(run.number, runTitle(run), formatTitles[run.recipe.format]) : text.lost;
}
