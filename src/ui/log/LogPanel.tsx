import { useState } from "react";
import type { LogLine } from "../../store/state";
import { clock } from "../format";
import { Button } from "../parts/Button";
import { copy } from "../parts/copy";
import { LabelledField, SelectField } from "../parts/fields";
import { Panel } from "../parts/Panel";
import { ScrollBox } from "../parts/ScrollBox";
import { download } from "../save";
import { strings } from "../strings";
import { useStudio, useStudioState } from "../studio";
import css from "./LogPanel.module.css";

const text = strings.log;
const mostLines = 500;
const levels = [
  { value: "all", title: text.everything },
  { value: "odd", title: text.warnings },
] as const;

/** The log, newest first. */
export function LogPanel() {
  const studio = useStudio();
  const log = useStudioState((s) => s.log);
  const [level, setLevel] = useState<"all" | "odd">("all");
  const [filter, setFilter] = useState("");
  const wanted = filter.trim().toLowerCase();
  const lines = log.filter((l) => (level === "all" || l.level !== "info") && logLineText(l).toLowerCase().includes(wanted));
  const whole = () => `${lines.map(logLineText).join("\n")}\n`;

  return (
    <Panel title={text.title}>
      <div className={css.tools}>
        <SelectField label={text.levels} value={level} options={[...levels]} onChange={setLevel} />
        <LabelledField label={text.filter}>
          {(wired) => <input {...wired} type="search" value={filter} onChange={(e) => setFilter(e.target.value)} />}
        </LabelledField>
        <div className={css.buttons}>
          <Button disabled={!lines.length} onClick={async () => studio.notify((await copy(whole())) ? text.copied : text.notCopied)}>
            {text.copy}
          </Button>
          <Button disabled={!lines.length} onClick={() => download(new Blob([whole()], { type: "text/plain" }), "qep-studio-log.txt")}>
            {text.download}
          </Button>
        </div>
      </div>
      {lines.length === 0 ? (
        <p className={css.quiet}>{log.length ? text.none : text.empty}</p>
      ) : (
        <ScrollBox label={text.title} tall>
          <ol className={css.lines} reversed>
            {lines
              .slice(-mostLines)
              .reverse()
              .map((line) => (
                <li key={line.id} className={css[line.level]}>
                  <time dateTime={new Date(line.at).toISOString()}>{clock(line.at)}</time>
                  <span className={css.level}>{text.level[line.level]}</span>
                  <span className={css.message}>
                    {line.run !== null && <span className={css.run}>{text.run(line.run)} </span>}
                    {line.message}
                  </span>
                </li>
              ))}
          </ol>
        </ScrollBox>
      )}
    </Panel>
  );
}

/** An entry as one line of text, whatever its message holds. */
export function logLineText({ at, level, run, message }: LogLine): string {
  const words = [new Date(at).toISOString(), text.level[level], run === null ? "" : text.run(run), message.replace(/\s+/g, " ")];
  return words.filter(Boolean).join(" ");
}
