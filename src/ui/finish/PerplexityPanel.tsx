import { extentText } from "../../results/measures";
import { evaluatedTexts, isModelMeasurable, isQuantized, measuredOn, measurementsLeft, onCalibration } from "../../store/measuring";
import { isBusy, isRunnable, nextStep } from "../../store/next";
import { runsInSight } from "../../store/runs";
import { perplexityText } from "../format";
import { Button } from "../parts/Button";
import { CheckField, NumberField } from "../parts/fields";
import { Panel } from "../parts/Panel";
import { TextChooser } from "../parts/TextChooser";
import { strings } from "../strings";
import { useStudio, useStudioState } from "../studio";
import { Comparisons } from "./Comparisons";
import css from "./finish.module.css";
import { Results } from "./Results";

const text = strings.perplexity;

export function PerplexityPanel() {
  const studio = useStudio();
  const runnable = useStudioState(isRunnable);
  const runs = useStudioState(runsInSight);
  const settings = useStudioState((s) => s.evaluation);
  const { isNext, busy } = useStudioState((s) => ({ isNext: nextStep(s) === "measure", busy: isBusy(s) }));
  const model = useStudioState((s) => s.model.measured);
  const canCompare = useStudioState((s) => s.model.summary !== null && isRunnable(s));
  const hasCompared = useStudioState((s) => s.model.compared.length > 0);
  const quantized = useStudioState(isQuantized);
  const modelToo = useStudioState(isModelMeasurable);
  const some = modelToo || measurementsLeft(runs, settings).length > 0;
  const keys = [...evaluatedTexts(runs).map((t) => t.key), onCalibration];
  const finished = model.length > 0 || runs.some((r) => r.status === "done");

  return (
    <Panel title={text.title} step={4}>
      <div className={css.content}>
        <p className={css.quiet}>{text.what}</p>
        <div className={css.buttons}>
          <Button primary={isNext} disabled={busy || !some} onClick={() => studio.measure()}>
            {text.measure}
          </Button>
          {!some && <span className={css.quiet}>{!runnable ? text.uncalibrated : finished ? text.all : text.none}</span>}
        </div>
        {model.map(({ key, textLabel, result }) => (
          <p key={key}>{text.ofModel(perplexityText(result.perplexity), textLabel, extentText(result))}</p>
        ))}
        {quantized && <Comparisons texts={strings.compare} />}
        {keys.map((key) => (
          <Results key={key} of={key} runs={runs.filter((r) => measuredOn(r, key))} />
        ))}
        {(hasCompared || runs.some((r) => r.measured.length > 0)) && <p className={css.quiet}>{text.compared}</p>}
        <details>
          <summary>{text.settings}</summary>
          <div className={css.inside}>
            <TextChooser
              what={strings.perplexity.settings}
              choice={settings.text}
              onChange={(change) => studio.editEvaluation({ text: { ...settings.text, ...change } })}
            />
            <CheckField
              label={text.calibrationToo}
              checked={settings.calibrationToo}
              onChange={(calibrationToo) => studio.editEvaluation({ calibrationToo })}
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
        {canCompare && !quantized && (
          <details>
            <summary>{strings.compare.another.title}</summary>
            <div className={css.inside}>
              <Comparisons texts={{ ...strings.compare, ...strings.compare.another }} heading={false} />
            </div>
          </details>
        )}
      </div>
    </Panel>
  );
}
