import css from "./Banner.module.css";
import { Alert } from "./parts/Alert";
import { Button } from "./parts/Button";
import { strings } from "./strings";
import { useStudio, useStudioState } from "./studio";

/** Shown when there is nothing to compute on: why, and what can be done. */
export function Banner() {
  const status = useStudioState((s) => s.gpu.status);
  if (status === "missing") return <NoGpu />;
  return status === "dead" ? <Crash /> : null;
}

function NoGpu() {
  const studio = useStudio();
  const text = strings.noGpu;
  const why = !window.isSecureContext ? text.insecure : "gpu" in navigator && navigator.gpu ? text.noAdapter : text.noApi;
  return (
    <Alert tone="warn">
      <strong>{text.title}</strong>
      <p>{why}</p>
      <div className={css.way}>
        <Button primary onClick={() => studio.startReference()}>
          {text.reference}
        </Button>
        <span>{text.referenceHint}</span>
      </div>
      <details>
        <summary>{text.how}</summary>
        <dl className={css.browsers}>
          {text.browsers.map(([browser, how]) => (
            <div key={browser}>
              <dt>{browser}</dt>
              <dd>{how}</dd>
            </div>
          ))}
        </dl>
      </details>
    </Alert>
  );
}

function Crash() {
  const studio = useStudio();
  const what = useStudioState((s) => (s.gpu.error?.code === "device-lost" ? "gpu" : "worker"));
  const text = strings.crash;
  return (
    <Alert>
      <strong>{text.title[what]}</strong>
      <p>{text.body[what]}</p>
      <div className={css.way}>
        <Button primary onClick={() => studio.restart()}>
          {text.restart}
        </Button>
      </div>
    </Alert>
  );
}
