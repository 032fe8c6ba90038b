import { useMemo, useState } from "react";
import { recipeTitle } from "../../recipe/recipe";
import { selectedRun } from "../../store/next";
import type { LayerReport } from "../../worker/protocol";
import { milliseconds, percent } from "../format";
import { Panel } from "../parts/Panel";
import { ScrollBox } from "../parts/ScrollBox";
import table from "../parts/table.module.css";
import { strings } from "../strings";
import { useStudioState } from "../studio";
import css from "./LayersTable.module.css";
import { type Column, columns, type Sorting, sorted } from "./sorting";

const text = strings.layers;
const mostRows = 1000;

export function LayersTable() {
  const run = useStudioState(selectedRun);
  const [sorting, setSorting] = useState<Sorting | null>(null);
  const layers = run?.layers;
  const rows = useMemo(() => sorted(layers ?? [], sorting), [layers, sorting]);
  if (!run) return null;
  const worst = Math.max(...rows.map((l) => l.relativeError));

  const turn = (column: Column) =>
    setSorting((old) =>
      old?.column === column ? { column, descending: !old.descending } : { column, descending: column === "error" || column === "ms" },
    );

  return (
    <Panel title={text.title} aside={text.of(run.number, recipeTitle(run.recipe))}>
      {rows.length === 0 ? (
        <p className={css.quiet}>{text.empty}</p>
      ) : (
        <>
          <ScrollBox label={text.title} tall>
            <table className={table.table} aria-label={text.title}>
              <thead>
                <tr>
                  {columns.map((column) => (
                    <Header key={column} column={column} sorting={sorting} onTurn={turn} />
                  ))}
                </tr>
              </thead>
              <tbody>
                {rows.slice(0, mostRows).map((layer) => (
                  <LayerRow key={layer.name} layer={layer} worst={worst} />
                ))}
              </tbody>
            </table>
          </ScrollBox>
          <p className={css.quiet}>{text.errorWhat}</p>
          {rows.length > mostRows && <p className={css.quiet}>{text.cut(mostRows, rows.length)}</p>}
        </>
      )}
    </Panel>
  );
}

function Header({ column, sorting, onTurn }: { column: Column; sorting: Sorting | null; onTurn: (column: Column) => void }) {
  const active = sorting?.column === column;
  const numeric = column !== "name" && column !== "kind";
  return (
    <th
      scope="col"
      className={numeric ? table.number : undefined}
      aria-sort={active ? (sorting.descending ? "descending" : "ascending") : "none"}
    >
      <button type="button" className={table.sort} onClick={() => onTurn(column)}>
        {text.columns[column]}
        <span className={table.arrow} aria-hidden="true">
          {active ? (sorting.descending ? "↓" : "↑") : ""}
        </span>
      </button>
    </th>
  );
}

function LayerRow({ layer, worst }: { layer: LayerReport; worst: number }) {
  return (
    <tr>
      <th scope="row" className={css.name}>
        {layer.name}
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
      <td className={table.number}>{layer.damping.length ? layer.damping.join(" → ") : "—"}</td>
      <td className={table.number}>{milliseconds(layer.ms)}</td>
    </tr>
  );
}
