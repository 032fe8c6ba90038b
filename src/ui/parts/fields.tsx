import { type ReactNode, useId, useState } from "react";
import css from "./fields.module.css";

interface FieldProps {
  label: string;
  /** A sentence about what is wrong with this field. */
  error?: string | null;
  hint?: ReactNode;
}

interface Wired {
  id: string;
  "aria-describedby"?: string;
  "aria-invalid"?: true;
}

/** A control with its label above and its hint or error below, wired to it for screen readers. */
export function LabelledField({ label, error, hint, children }: FieldProps & { children: (wired: Wired) => ReactNode }) {
  const id = useId();
  const description = error || hint ? `${id}-description` : undefined;
  return (
    <div className={css.field}>
      <label htmlFor={id}>{label}</label>
      {children({ id, "aria-describedby": description, "aria-invalid": error ? true : undefined })}
      {description && (
        <p id={description} className={error ? css.error : css.hint}>
          {error || hint}
        </p>
      )}
    </div>
  );
}

export interface Option<T> {
  value: T;
  title: string;
}

/** A choice among options. Values may be of any type, if no two of them look alike as strings. */
export function SelectField<T>({
  value,
  options,
  onChange,
  ...field
}: FieldProps & { value: T; options: Option<T>[]; onChange: (value: T) => void }) {
  return (
    <LabelledField {...field}>
      {(wired) => (
        <select {...wired} value={String(value)} onChange={(e) => onChange(options[e.target.selectedIndex].value)}>
          {options.map((o) => (
            <option key={String(o.value)} value={String(o.value)}>
              {o.title}
            </option>
          ))}
        </select>
      )}
    </LabelledField>
  );
}

interface Numeric {
  min: number;
  max?: number;
  step?: number | "any";
}

/**
 * A number, reported as it is typed whenever it is in range. Left with any other input it is again what it was before, not the last piece of it in range, and
 * says what it has not taken. null: blank.
 */
export function NumberField({
  value,
  onChange,
  blank,
  min,
  max,
  step = 1,
  ...field
}: FieldProps & Numeric & { value: number | null; onChange: (value: number | null) => void; blank?: string }) {
  const [draft, setDraft] = useState<string | null>(null);
  const [before, setBefore] = useState(value);
  const [refused, setRefused] = useState<string | null>(null);
  const valid = (text: string) => {
    if (text.trim() === "") return blank !== undefined;
    const n = Number(text);
    return Number.isFinite(n) && n >= min && (max === undefined || n <= max) && (step !== 1 || Number.isInteger(n));
  };
  const wrong = draft !== null && !valid(draft);
  const range = `A ${step === 1 ? "whole " : ""}number, ${max === undefined ? `at least ${min}` : `${min} to ${max}`}.`;
  const fault = wrong ? range : refused !== null && `“${refused}” is not taken. ${range}`;
  return (
    <LabelledField {...field} error={fault || field.error}>
      {(wired) => (
        <input
          {...wired}
          type="number"
          inputMode="decimal"
          min={min}
          max={max}
          step={step}
          placeholder={blank}
          value={draft ?? value ?? ""}
          onFocus={() => setBefore(value)}
          onChange={(e) => {
            setDraft(e.target.value);
            setRefused(null);
            if (valid(e.target.value)) onChange(e.target.value.trim() === "" ? null : Number(e.target.value));
          }}
          onBlur={() => {
            if (wrong) onChange(before);
            setRefused(wrong ? draft : null);
            setDraft(null);
          }}
        />
      )}
    </LabelledField>
  );
}

export function CheckField({
  label,
  hint,
  checked,
  onChange,
  disabled,
}: {
  label: string;
  hint?: string | null;
  checked: boolean;
  onChange: (on: boolean) => void;
  disabled?: boolean;
}) {
  const id = useId();
  return (
    <div>
      <label className={css.check}>
        <input
          type="checkbox"
          checked={checked}
          disabled={disabled}
          aria-describedby={hint ? id : undefined}
          onChange={(e) => onChange(e.target.checked)}
        />
        {label}
      </label>
      {hint && (
        <p id={id} className={css.hint}>
          {hint}
        </p>
      )}
    </div>
  );
}

export function RangeField({
  value,
  onChange,
  spoken,
  min,
  max,
  step,
  disabled,
  ...field
}: FieldProps & Required<Numeric> & { value: number; onChange: (value: number) => void; spoken: string; disabled?: boolean }) {
  return (
    <LabelledField {...field}>
      {(wired) => (
        <div className={css.range}>
          <input
            {...wired}
            type="range"
            disabled={disabled}
            min={min}
            max={max}
            step={step}
            value={value}
            aria-valuetext={spoken}
            onChange={(e) => onChange(Number(e.target.value))}
          />
          <output htmlFor={wired.id} aria-hidden="true">
            {value.toFixed(2)}
          </output>
        </div>
      )}
    </LabelledField>
  );
}
