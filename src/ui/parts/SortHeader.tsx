import type { Sorting } from "../tables/sorting";
import table from "./table.module.css";

interface Props<Column extends string> {
  column: Column;
  title: string;
  /** The column's full name for screen readers, where the title says too little by itself. */
  label?: string;
  sorting: Sorting<Column> | null;
  onSort: (sorting: Sorting<Column>) => void;
  numeric?: boolean;
  /** Whether the first click sorts from the largest down. */
  descendingFirst?: boolean;
}

/** A column's heading; a click sorts by the column, a second one the other way round. */
export function SortHeader<Column extends string>({
  column,
  title,
  label,
  sorting,
  onSort,
  numeric,
  descendingFirst = false,
}: Props<Column>) {
  const active = sorting?.column === column ? sorting : null;
  return (
    <th
      scope="col"
      className={numeric ? table.number : undefined}
      aria-sort={active ? (active.descending ? "descending" : "ascending") : "none"}
    >
      <button
        type="button"
        className={table.sort}
        aria-label={label}
        onClick={() => onSort({ column, descending: active ? !active.descending : descendingFirst })}
      >
        {title}
        <span className={table.arrow} aria-hidden="true">
          {active ? (active.descending ? "↓" : "↑") : ""}
        </span>
      </button>
    </th>
  );
}
