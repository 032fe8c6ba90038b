import type { ModelSummary } from "../../worker/protocol";
import { bytes, count, parameters } from "../format";
import css from "./Facts.module.css";

/** What is known from headers and config alone. */
export function Facts({ model: m }: { model: ModelSummary }) {
  const facts: [string, string][] = [
    ["Model", m.label],
    ["Architecture", m.architecture],
    ["Parameters", `${parameters(m.parameters)}${m.tied ? ", tied embeddings" : ""}`],
    ["Weights", `${m.dtypes.join(", ")} · ${bytes(m.bytes)} in ${m.files} ${m.files === 1 ? "file" : "files"}`],
    ["Blocks", `${m.blocks} · hidden ${count(m.hidden)} · MLP ${count(m.intermediate)}`],
    ["Attention", `${m.heads} heads, ${m.kvHeads} key/value, ${m.headDim} wide`],
    ["Vocabulary", `${count(m.vocabulary)} · up to ${count(m.maxPositions)} positions`],
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
