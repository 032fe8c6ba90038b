/** An ONNX file of one MatMul node, written by hand: its format is protobuf, a tag and a value for each field. */

const text = (value: string) => [...new TextEncoder().encode(value)];

function varint(value: number): number[] {
  const bytes: number[] = [];
  for (let rest = value; ; rest = Math.floor(rest / 128)) {
    if (rest < 128) return [...bytes, rest];
    bytes.push((rest % 128) | 128);
  }
}

const number = (field: number, value: number) => [field << 3, ...varint(value)];
const bytes = (field: number, value: number[]) => [(field << 3) | 2, ...varint(value.length), ...value];

/** ValueInfoProto of a float matrix. */
function matrix(name: string, [rows, columns]: readonly number[]): number[] {
  const shape = [rows, columns].flatMap((size) => bytes(1, number(1, size)));
  const type = [...number(1, 1), ...bytes(2, shape)];
  return [...bytes(1, text(name)), ...bytes(2, bytes(1, type))];
}

/** y [m, n] = a [m, k] · b [k, n]. */
export function matmulModel(m: number, k: number, n: number): Uint8Array {
  const node = [...bytes(1, text("a")), ...bytes(1, text("b")), ...bytes(2, text("y")), ...bytes(4, text("MatMul"))];
  const graph = [
    ...bytes(1, node),
    ...bytes(2, text("matmul")),
    ...bytes(11, matrix("a", [m, k])),
    ...bytes(11, matrix("b", [k, n])),
    ...bytes(12, matrix("y", [m, n])),
  ];
  // Version 8 of the file format, 17 of the operators.
  return Uint8Array.from([...number(1, 8), ...bytes(7, graph), ...bytes(8, number(2, 17))]);
}
