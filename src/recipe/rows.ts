/** The table of fields, row by row. */
import { type Field, isField, type Table } from "./field";
import { fields } from "./fields";
import { type MethodId, methodIds, methods } from "./methods";

/** One field of the table and its place in a recipe. */
export interface RecipeRow {
  /** "qep.alpha", or "bits". */
  path: string;
  /** null: the field is at the top level. */
  section: string | null;
  key: string;
  field: Field;
}

const table: Table = fields;

const rowOf = (section: string | null, key: string, field: Field): RecipeRow => ({
  path: section ? `${section}.${key}` : key,
  section,
  key,
  field,
});

/** Builds an object with a recipe's shape, in the table's order: `leaf` makes each field's value, `group` wraps each section. */
export function shaped<T>(leaf: (row: RecipeRow) => T, group: (name: string, part: Record<string, T>) => unknown = (_, part) => part) {
  const shape = Object.entries(table).map(([name, entry]): [string, unknown] => {
    if (isField(entry)) return [name, leaf(rowOf(null, name, entry))];
    return [name, group(name, Object.fromEntries(Object.entries(entry).map(([key, field]) => [key, leaf(rowOf(name, key, field))])))];
  });
  return Object.fromEntries(shape);
}

/** Every field, in the table's order. */
export const rows: readonly RecipeRow[] = Object.entries(table).flatMap(([name, entry]) =>
  isField(entry) ? [rowOf(null, name, entry)] : Object.entries(entry).map(([key, field]) => rowOf(name, key, field)),
);

/** The names of the sections. */
export const sections: readonly string[] = Object.keys(table).filter((name) => !isField(table[name]));

/** The methods that use a field as their option; null where the field is not a method's option. */
export function usersOf({ path, section }: RecipeRow): MethodId[] | null {
  const users = methodIds.filter((id) => id === section || methods[id].borrows.includes(path));
  return users.length ? users : null;
}
