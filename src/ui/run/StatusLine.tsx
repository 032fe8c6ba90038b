import { useEffect, useRef } from "react";
import { nextStep } from "../../store/next";
import { pageTitle, statusOf } from "../status";
import { strings } from "../strings";
import { useStudioState } from "../studio";
import css from "./RunBar.module.css";

/** The page's one live region. It changes as often as there is news; screen readers speak it at most every 10 %. */
export function StatusLine() {
  const { text, tone, spokenKey } = useStudioState(statusOf);
  const hint = useStudioState((s) => (s.model.summary?.packing ? "" : strings.hint[nextStep(s)]));
  const title = useStudioState(pageTitle);
  const spoken = useRef({ key: "", text: "" });
  if (spoken.current.key !== spokenKey) spoken.current = { key: spokenKey, text };

  useEffect(() => {
    document.title = title;
  }, [title]);

  const moving = spoken.current.text !== text;
  return (
    <div className={css.said}>
      <p role="status" id="status" className={css[tone]}>
        <span className={moving ? css.spoken : undefined}>{spoken.current.text}</span>
        {moving && <span aria-hidden="true">{text}</span>}
      </p>
      {hint && <p className={css.hint}>{hint}</p>}
    </div>
  );
}
