import { strings } from "../strings";
import { useStudioState } from "../studio";
import css from "./RunBar.module.css";

export function ProgressBar() {
  const fraction = useStudioState((s) => s.job?.fraction ?? null);
  if (fraction === null) return null;
  return (
    <div
      className={css.track}
      role="progressbar"
      aria-label={strings.run.progress}
      aria-valuemin={0}
      aria-valuemax={100}
      aria-valuenow={Math.floor(fraction * 100)}
    >
      <div className={css.fill} style={{ transform: `scaleX(${fraction})` }} />
    </div>
  );
}
