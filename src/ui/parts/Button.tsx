import type { ComponentProps } from "react";
import css from "./Button.module.css";

/** `primary` marks the one next step. */
export function Button({ primary = false, ...props }: ComponentProps<"button"> & { primary?: boolean }) {
  return <button type="button" className={primary ? `${css.button} ${css.primary}` : css.button} {...props} />;
}

/** A file input that looks like the other buttons; the label is its name. */
export function FileButton({ label, ...props }: ComponentProps<"input"> & { label: string }) {
  return (
    <label className={`${css.button} ${css.file}`}>
      {label}
      <input type="file" {...props} />
    </label>
  );
}
