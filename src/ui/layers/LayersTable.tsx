import { memo, useMemo, useState } from "react";
import type { LayerReport } from "../../results/report";
import { dampingText, milliseconds, percent } from "../format";
import { CheckField, LabelledField } from "../parts/fields";
import { ScrollBox } from "../parts/ScrollBox";
import { SortHeader } from "../parts/SortHeader";
import table from "../parts/table.module.css";
import { strings } from "../strings";
import { type LayerColumn, layerColumns, layerKeys, type Sorting, sorted } from "../tables/sorting";
import css from "./LayersTable.module.css";

const text = strings.layers;
const mostRows = 1000;

interface Props {
  layers: LayerReport[];
  /** How many layers there will be. Room is kept for more than a dozen, so that the page does not jump. */
  expected: number;
  chosen: string | null;
  onChoose: (name: string) => void;
}

export function LayersTable({ layers, expected, chosen, onChoose }: Props) {
  const [sorting, setSorting] = useState<Sorting<LayerColumn> | null>(null);
  const [filter, setFilter] = useState("");
  const [odd, setOdd] = useState(false);
  const rows = useMemo(() => {
    const wanted = filter.trim().toLowerCase();
    const found = layers.filter((l) => l.name.toLowerCase().includes(wanted) && (!odd || isOdd(l)));
    return sorted(found, layerKeys, sorting);
  }, [layers, filter, odd, sorting]);
  const worst = Math.max(...layers.map((l) => l.relativeError));

  return (
    <div className={css.whole}>
      <div className={css.filters}>
        <LabelledField label={text.filter}>
          {(wired) => (
            <input {...wired} type="search" value={filter} placeholder={text.filterHint} onChange={(e) => setFilter(e.target.value)} />
          )}
        </LabelledField>
        <CheckField label={text.odd} checked={odd} onChange={setOdd} />
      </div>
      <div className={expected > 12 ? css.roomy : undefined}>
        <ScrollBox label={text.title} tall>
          <table className={table.table} aria-label={text.title}>
            <thead>
              <tr>
                {layerColumns.map((column) => (
                  <SortHeader
                    key={column}
                    column={column}
                    title={text.columns[column]}
                    sorting={sorting}
                    onSort={setSorting}
                    numeric={column !== "name" && column !== "kind"}
                    descendingFirst={column === "error" || column === "ms" || column === "damping"}
                  />
                ))}
              </tr>
            </thead>
            <tbody>
              {rows.slice(0, mostRows).map((layer) => (
                <LayerRow key={layer.name} layer={layer} worst={worst} chosen={layer.name === chosen} onChoose={onChoose} />
              ))}
            </tbody>
          </table>
        </ScrollBox>
        {layers.length > 0 && rows.length === 0 && <p className={css.quiet}>{text.none}</p>}
      </div>
      <p className={css.quiet}>{text.errorWhat}</p>
      {rows.length > mostRows && <p className={css.quiet}>{text.cut(mostRows, rows.length)}</p>}
    </div>
  );
}

const isOdd = (l: LayerReport) => l.retries > 0 || l.fallback !== null;

interface RowProps {
  layer: LayerReport;
  worst: number;
  chosen: boolean;
  onChoose: (name: string) => void;
}

const LayerRow = memo(function LayerRow({ layer, worst, chosen, onChoose }: RowProps) {
  return (
    <tr className={chosen ? css.chosen : undefined}>
      <th scope="row" className={css.name}>
        <button type="button" className={css.choose} aria-pressed={chosen} onClick={() => onChoose(layer.name)}>
          {layer.name}
        </button>
        {layer.fallback && <p className={css.fallback}>{layer.fallback}</p>}
      </th>
      <td className={table.number}>{layer.block + 1}</td>
      <td>{layer.kind}</td>
      <td className={table.number}>{layer.bits}</td>
      <td className={table.number}>{layer.alpha}</td>
      <td className={table.number}>
        <div className={css.error}>
          <span className={css.track}>
            <span className={css.bar} style={{ width: `${worst > 0 ? (layer.relativeError / worst) * 100 : 0}%` }} />
          </span>
          {percent(layer.relativeError)}
        </div>
      </td>
      <td className={table.number}>{layer.damping.length ? dampingText(layer.damping, layer.retries) : "—"}</td>
      <td className={table.number}>{milliseconds(layer.ms)}</td>
    </tr>
  );
});
