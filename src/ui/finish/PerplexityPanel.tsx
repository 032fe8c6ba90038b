import { isMeasurable, isModelMeasurable, measureKey } from "../../store/measuring";
import { isBusy, nextStep } from "../../store/next";
import { runsInSight } from "../../store/runs";
import { count } from "../format";
import { Button } from "../parts/Button";
import { NumberField } from "../parts/fields";
import { Panel } from "../parts/Panel";
import { TextChooser } from "../parts/TextChooser";
import { strings } from "../strings";
import { useStudio, useStudioState } from "../studio";
import css from "./finish.module.css";
import { Results } from "./Results";

const text = strings.perplexity;

export function PerplexityPanel() {
  const studio = useStudio();
  const runs = useStudioState(runsInSight);
  const settings = useStudioState((s) => s.evaluation);
  const { isNext, busy, key } = useStudioState((s) => ({ isNext: nextStep(s) === "measure", busy: isBusy(s), key: measureKey(s) }));
  const model = useStudioState((s) => s.model.measured);
  const modelToo = useStudioState(isModelMeasurable);
  const some = modelToo || runs.some((r) => isMeasurable(r, key));
  const measured = runs.filter((r) => r.measured);
  const finished = model !== null || runs.some((r) => r.status === "done");

  return (
    <Panel title={text.title} step={4}>
      <div className={css.content}>
        <p className={css.quiet}>{text.what}</p>
        <div className={css.buttons}>
          <Button primary={isNext} disabled={busy || !some} onClick={() => studio.measure()}>
            {text.measure}
          </Button>
          {!some && <span className={css.quiet}>{finished ? text.all : text.none}</span>}
        </div>
        {model && <p>{text.ofModel(model.result.perplexity.toFixed(3), model.textLabel, count(model.result.tokens))}</p>}
        {[...new Set(measured.map((r) => r.measured!.key))].map((k) => (
          <Results key={k} runs={measured.filter((r) => r.measured!.key === k)} />
        ))}
        <details>
          <summary>{text.settings}</summary>
          <div className={css.inside}>
            <TextChooser
              what={strings.perplexity.settings}
              choice={settings.text}
              onChange={(change) => studio.editEvaluation({ text: { ...settings.text, ...change } })}
            />
            <NumberField
              label={text.windows}
              value={settings.windows}
              min={1}
              blank="all"
              onChange={(windows) => studio.editEvaluation({ windows })}
            />
          </div>
        </details>
      </div>
    </Panel>
  );
}
