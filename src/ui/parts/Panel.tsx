import { type ReactNode, useId } from "react";
import { Heading } from "./Heading";
import css from "./Panel.module.css";

/** A section of the page that screen readers find by its title. */
export function Panel({ title, step, aside, children }: { title: string; step?: number; aside?: ReactNode; children: ReactNode }) {
  const id = useId();
  return (
    <section className={css.panel} aria-labelledby={id}>
      <div className={css.head}>
        <Heading id={id} title={title} step={step} />
        {aside && <div className={css.aside}>{aside}</div>}
      </div>
      {children}
    </section>
  );
}
