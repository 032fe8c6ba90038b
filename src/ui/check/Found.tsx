import type { ComparedLayer, Verification } from "../../results/verification";
import { bytes, count } from "../format";
import { ScrollBox } from "../parts/ScrollBox";
import table from "../parts/table.module.css";
import { strings } from "../strings";
import css from "./check.module.css";

const text = strings.check;
const order = ["error", "warning", "ok"] as const;

/** What a check has found, errors first. */
export function Found({
  verification: { label, title, tensors, bytes: size, findings, layers, against, passed },
}: {
  verification: Verification;
}) {
  const sorted = order.flatMap((level) => findings.filter((finding) => finding.level === level));
  return (
    <div className={css.found}>
      <p>
        <strong className={passed ? css.sound : css.unsound}>{passed ? text.sound : text.unsound}</strong>
      </p>
      <p className={css.quiet}>{text.of(label, title, count(tensors), bytes(size))}</p>
      <ul className={css.findings}>
        {sorted.map(({ level, code, message, where }) => (
          <li key={`${code} ${message} ${where}`} className={css[level]}>
            <span className={css.level}>{text.level[level]}</span> {message}
            {where && !message.includes(where) && <code> {where}</code>}
          </li>
        ))}
      </ul>
      {layers && layers.length > 0 && (
        <details>
          <summary>{text.layers(layers.length, against ?? "")}</summary>
          <Layers layers={layers} />
        </details>
      )}
    </div>
  );
}

/** The worst first. */
function Layers({ layers }: { layers: ComparedLayer[] }) {
  const { name, error, stored } = text.columns;
  return (
    <ScrollBox label={name} tall>
      <table className={table.table}>
        <thead>
          <tr>
            <th scope="col">{name}</th>
            <th scope="col" className={table.number}>
              {error}
            </th>
            <th scope="col">{stored}</th>
          </tr>
        </thead>
        <tbody>
          {layers
            .toSorted((a, b) => b.error - a.error)
            .map((layer) => (
              <tr key={layer.name}>
                <th scope="row">{layer.name}</th>
                <td className={table.number}>{layer.error === 0 ? 0 : layer.error.toPrecision(3)}</td>
                <td>{layer.scaled ? `${layer.stored}, ${text.scaled[layer.scaled]}` : layer.stored}</td>
              </tr>
            ))}
        </tbody>
      </table>
    </ScrollBox>
  );
}
