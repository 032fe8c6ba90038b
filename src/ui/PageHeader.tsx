import css from "./PageHeader.module.css";
import { strings } from "./strings";
import { useStudioState } from "./studio";

export function PageHeader() {
  return (
    <header className={css.header}>
      <h1>{strings.name}</h1>
      <p className={css.tagline}>{strings.tagline}</p>
      <GpuChip />
    </header>
  );
}

/** Which device computes, and whether it will be slow. */
function GpuChip() {
  const { status, facts } = useStudioState((s) => s.gpu);
  const text = strings.gpu;
  if (status !== "ready" || !facts) return <p className={css.chip}>{status === "ready" ? "" : text[status]}</p>;
  const slow = facts.kind === "cpu" || facts.software;
  return (
    <p className={slow ? `${css.chip} ${css.slow}` : css.chip} title={facts.description}>
      <span className={css.device}>{facts.kind === "cpu" ? text.reference : facts.description}</span>
      {slow && <span>{facts.kind === "cpu" ? text.slow : text.software}</span>}
    </p>
  );
}
