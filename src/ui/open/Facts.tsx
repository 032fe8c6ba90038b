import type { ModelSummary } from "../../results/model";
import { bytes, count, parameters } from "../format";
import css from "./Facts.module.css";

/** What is known from headers and config alone. */
export function Facts({ model: m }: { model: ModelSummary }) {
  const facts: [string, string][] = [
    ["Model", m.label],
    ["Architecture", m.architecture],
    ["Parameters", `${parameters(m.parameters)}${m.shape?.tied ? ", tied embeddings" : ""}`],
    ["Weights", `${m.dtypes.join(", ")} · ${bytes(m.bytes)} in ${m.files} ${m.files === 1 ? "file" : "files"}`],
    ...shapeFacts(m),
    ["Tokenizer", m.hasTokenizer ? "found" : "missing"],
  ];
  if (m.packing !== null) facts.splice(4, 0, ["Quantized", m.packing]);
  return (
    <div className={css.facts}>
      <dl>
        {facts.map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
      {m.notes.length > 0 && (
        <ul className={css.notes}>
          {m.notes.map((n) => (
            <li key={n}>{n}</li>
          ))}
        </ul>
      )}
      {m.warnings.length > 0 && (
        <ul className={css.warnings}>
          {m.warnings.map((w) => (
            <li key={w}>{w}</li>
          ))}
        </ul>
      )}
    </div>
  );
}

function shapeFacts({ blocks, layers, shape }: ModelSummary): [string, string][] {
  if (!shape) return [["Blocks", `${blocks} · ${count(layers)} linear layers`]];
  return [
    ["Blocks", `${blocks} · hidden ${count(shape.hidden)} · MLP ${count(shape.intermediate)}`],
    ["Attention", `${shape.heads} heads, ${shape.kvHeads} key/value, ${shape.headDim} wide`],
    ["Vocabulary", `${count(shape.vocabulary)} · up to ${count(shape.maxPositions)} positions`],
  ];
}
