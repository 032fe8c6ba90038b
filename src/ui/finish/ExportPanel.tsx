import { useState } from "react";
import { canExport, nextStep, selectedRun } from "../../store/next";
import { Alert } from "../parts/Alert";
import { Button } from "../parts/Button";
import { Panel } from "../parts/Panel";
import { canPickFolder, download, exportName, keepFile, pickFolder } from "../save";
import { strings } from "../strings";
import { useStudio, useStudioState } from "../studio";
import css from "./finish.module.css";
import { Written } from "./Written";
import { exportText } from "./what";

const text = strings.export;

export function ExportPanel() {
  const studio = useStudio();
  const run = useStudioState(selectedRun);
  const label = useStudioState((s) => s.model.summary?.label ?? "");
  const ready = useStudioState(canExport);
  const isNext = useStudioState((s) => nextStep(s) === "export");
  const what = useStudioState(exportText);
  const [refused, setRefused] = useState<string | null>(null);
  /** The last zip, which the browser may still be copying, and the run that it is of. */
  const [saving, setSaving] = useState<{ zip: string; runId: string } | null>(null);
  const name = run ? exportName(label, run.recipe) : "";

  async function toZip() {
    setRefused(null);
    const written = await studio.exportRun({ kind: "zip", name });
    if (!run || !written?.zip) return;
    keepFile(written.zip.lock);
    download(written.zip.file, `${name}.zip`);
    setSaving({ zip: `${name}.zip`, runId: run.id });
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
        {saving && saving.runId === run?.id && <p className={css.quiet}>{text.saving(saving.zip)}</p>}
        <p className={css.quiet}>{what}</p>
        {run?.exported && (
          <Written name={run.exported.name} files={run.exported.summary.files} certificate={run.exported.summary.certificate} />
        )}
      </div>
    </Panel>
  );
}
