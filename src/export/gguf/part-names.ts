/** Names of the files of a split model, as llama.cpp looks for them. */

const digits = (n: number) => String(n).padStart(5, "0");

/** "m-00001-of-00003.gguf" for the first of three parts of "m.gguf"; one alone keeps its name. */
export const partName = (name: string, index: number, count: number): string =>
  count === 1 ? name : name.replace(/\.gguf$/, `-${digits(index + 1)}-of-${digits(count)}.gguf`);

/** The names of all `count` parts of which this is one; itself, where it is called otherwise. */
export function partNames(name: string, count: number): string[] {
  const whole = name.replace(/-\d{5}-of-\d{5}\.gguf$/, ".gguf");
  return whole === name ? [name] : Array.from({ length: count }, (_, index) => partName(whole, index, count));
}
