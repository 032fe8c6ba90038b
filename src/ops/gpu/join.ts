import { QuantError } from "../../errors";

/** The names in a source's "// uses: a, b" line. */
const usedBy = (source: string): string[] => /^\/\/ uses: (.+)$/m.exec(source)?.[1].split(", ") ?? [];

/**
 * A kernel followed by the shared pieces that it names, and by those that they name: WGSL has no include, and declarations may come in any order.
 * The kernel comes first, so that its lines keep their numbers in the compiler's messages.
 * @throws QuantError `internal` for a name that is no shared piece.
 */
export function join(name: string, source: string, shared: Readonly<Record<string, string>>): string {
  const pieces = new Map<string, string>();
  const add = (by: string, text: string): void => {
    for (const used of usedBy(text).filter((u) => !pieces.has(u))) {
      if (!Object.hasOwn(shared, used))
        throw new QuantError("internal", `${by} uses ${used}, but there is no ${used}.wgsl among the shared pieces of kernels`);
      pieces.set(used, shared[used]);
      add(`${used}.wgsl`, shared[used]);
    }
  };
  add(`kernel ${name}`, source);
  return [source, ...pieces.values()].join("\n");
}

/** `join` of every kernel. */
export function joinAll<Name extends string>(
  sources: Readonly<Record<Name, string>>,
  shared: Readonly<Record<string, string>>,
): Readonly<Record<Name, string>> {
  return Object.fromEntries(Object.entries<string>(sources).map(([name, source]) => [name, join(name, source, shared)])) as Record<
    Name,
    string
  >;
}
