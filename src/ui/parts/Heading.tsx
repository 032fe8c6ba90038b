import css from "./Heading.module.css";

/** A panel's title, with the panel's number in the order of the work. */
export function Heading({ id, title, step }: { id: string; title: string; step?: number }) {
  return (
    <div className={css.heading}>
      {step !== undefined && <StepNumber n={step} />}
      <h2 id={id}>{title}</h2>
    </div>
  );
}

export function StepNumber({ n }: { n: number }) {
  return (
    <span className={css.step} aria-hidden="true">
      {n}
    </span>
  );
}
