import { useState } from "react";
import { nextStep } from "../../store/next";
import type { Given } from "../../store/opening";
import { CheckFiles } from "../check/CheckFiles";
import { filesOfInput } from "../drop";
import { Alert } from "../parts/Alert";
import { Button, FileButton } from "../parts/Button";
import drop from "../parts/drop.module.css";
import { Panel } from "../parts/Panel";
import { strings } from "../strings";
import { useStudio, useStudioState } from "../studio";
import { Facts } from "./Facts";
import css from "./OpenPanel.module.css";
import { useDrop } from "./useDrop";

const text = strings.open;
const folderOnly = { webkitdirectory: "" };

export function OpenPanel() {
  const studio = useStudio();
  const { summary, opening, error } = useStudioState((s) => s.model);
  const blocked = useStudioState((s) => s.job !== null || s.model.opening !== null || s.gpu.status === "dead");
  const isNext = useStudioState((s) => nextStep(s) === "open");
  const hasRuns = useStudioState((s) => s.runs.length > 0);
  const [empty, setEmpty] = useState(false);

  function open({ files, label }: Given) {
    // The engine says which of the cache's folders holds the model.
    const isHubCache = label.startsWith("models--");
    setEmpty(!files.length && !isHubCache);
    if (files.length || isHubCache) studio.openFiles({ files, label: label || text.looseLabel });
  }

  const over = useDrop((dropped) => {
    if (!blocked) open(dropped);
  });

  function onChosen(input: HTMLInputElement) {
    if (input.files?.length) open(filesOfInput(input.files));
    input.value = ""; // the same files can be chosen again after they were mended
  }

  return (
    <Panel title={text.title} step={1}>
      <div className={over ? `${drop.target} ${drop.over}` : drop.target}>
        {opening === null ? !summary && <p className={css.invite}>{text.invite}</p> : <p className={css.invite}>{text.opening(opening)}</p>}
        {!summary && opening === null && <p className={css.needs}>{text.needs}</p>}
        <div className={css.ways}>
          <FileButton label={text.files} multiple disabled={blocked} onChange={(e) => onChosen(e.target)} />
          <FileButton label={text.folder} multiple {...folderOnly} disabled={blocked} onChange={(e) => onChosen(e.target)} />
          <Button primary={isNext} disabled={blocked} onClick={() => studio.openDemo()}>
            {text.demo}
          </Button>
        </div>
        {!summary && <p className={css.needs}>{text.demoHint}</p>}
        {hasRuns && <p className={css.needs}>{text.replaces}</p>}
      </div>
      {empty && <Alert>{text.nothing}</Alert>}
      {error && <Alert>{error.message}</Alert>}
      {summary && <Facts model={summary} />}
      <CheckFiles />
    </Panel>
  );
}
