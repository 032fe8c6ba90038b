import type { ReactNode } from "react";
import css from "./Alert.module.css";

/** A message that screen readers speak at once. */
export function Alert({ tone = "bad", children }: { tone?: "bad" | "warn"; children: ReactNode }) {
  return (
    <div role="alert" className={`${css.alert} ${css[tone]}`}>
      {children}
    </div>
  );
}
