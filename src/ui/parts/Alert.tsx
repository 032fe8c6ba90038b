import type { ReactNode } from "react";
import css from "./Alert.module.css";

/** Says something that must be read, at once. */
export function Alert({ tone = "bad", children }: { tone?: "bad" | "warn"; children: ReactNode }) {
  return (
    <div role="alert" className={`${css.alert} ${css[tone]}`}>
      {children}
    </div>
  );
}
