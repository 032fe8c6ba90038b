/**
 * The wire format of Protocol Buffers (protobuf.dev/programming-guides/encoding), as much of it as ONNX files need. A message is the concatenation of its
 * fields, each of which is made by one of the functions below; `field` is its number in the schema.
 */
import { QuantError } from "../errors";

const wires = { varint: 0, fixed64: 1, bytes: 2, fixed32: 5 } as const;

/** A whole number in groups of seven bits, lowest first; negative ones as 64-bit two's complement. */
function varint(value: number | bigint): number[] {
  const bytes: number[] = [];
  let rest = BigInt.asUintN(64, BigInt(value));
  for (; rest > 127n; rest >>= 7n) bytes.push(Number(rest & 127n) | 128);
  return [...bytes, Number(rest)];
}

const tag = (field: number, wire: number) => varint(field * 8 + wire);

/** Fields, or messages, one after another. */
export function concat(parts: readonly Uint8Array[]): Uint8Array {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

/** int32, int64, uint64, enum. */
export const intField = (field: number, value: number | bigint): Uint8Array =>
  Uint8Array.from([...tag(field, wires.varint), ...varint(value)]);

/** float. */
export function floatField(field: number, value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setFloat32(0, value, true);
  return concat([Uint8Array.from(tag(field, wires.fixed32)), bytes]);
}

/** bytes, string, or a message inside this one. */
export function bytesField(field: number, value: Uint8Array | string): Uint8Array {
  const bytes = typeof value === "string" ? new TextEncoder().encode(value) : value;
  return concat([Uint8Array.from([...tag(field, wires.bytes), ...varint(bytes.length)]), bytes]);
}

/** A message made of fields, inside this one. */
export const messageField = (field: number, parts: readonly Uint8Array[]): Uint8Array => bytesField(field, concat(parts));

/** A field as it stands in a message: numbers of a varint as a bigint, all else as its bytes. */
export interface Field {
  readonly field: number;
  readonly value: bigint | Uint8Array;
}

const damaged = (what: string) => new QuantError("bad-file", `protobuf: ${what}`, "Write or download the file again.");

/** Far more than any graph without weights has: ours take about 1,500 a block. */
const mostFields = 1_000_000;

/** Counts the fields of a message and of those inside it, which may be two bytes long. */
export class FieldCount {
  private left = mostFields;

  /** @throws QuantError `bad-file` after the last that may be read. */
  next(): void {
    if (--this.left < 0) throw damaged(`there are more than ${mostFields} fields`);
  }
}

/** The fields of a message in their order. @throws QuantError `bad-file` where it is cut off or is none, or has too many. */
export function* fieldsOf(message: Uint8Array, count = new FieldCount()): Generator<Field> {
  let at = 0;
  const readVarint = (): bigint => {
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      if (at >= message.length) throw damaged("a number is cut off");
      const byte = message[at++];
      value |= BigInt(byte & 127) << shift;
      if (byte < 128) return BigInt.asUintN(64, value);
    }
    throw damaged("a number has more than ten bytes");
  };
  const take = (length: number): Uint8Array => {
    if (length > message.length - at) throw damaged(`${length} bytes are announced where ${message.length - at} are left`);
    at += length;
    return message.subarray(at - length, at);
  };
  while (at < message.length) {
    count.next();
    const key = Number(readVarint());
    const [field, wire] = [Math.floor(key / 8), key % 8];
    if (wire === wires.varint) yield { field, value: readVarint() };
    else if (wire === wires.bytes) yield { field, value: take(Number(readVarint())) };
    else if (wire === wires.fixed32) yield { field, value: take(4) };
    else if (wire === wires.fixed64) yield { field, value: take(8) };
    else throw damaged(`there is no wire type ${wire}`);
  }
}
