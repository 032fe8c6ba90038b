/** ONNX's messages as bytes, by the field numbers of its schema (github.com/onnx/onnx, onnx/onnx.proto). */
import { version } from "../../../package.json";
import { QuantError } from "../../errors";
import { toFloats } from "../../io/dtype";
import { bytesField, concat, FieldCount, fieldsOf, floatField, intField, messageField } from "../../io/protobuf";
import type { EntrySpec } from "../containers/container";
import { type Attribute, type Constant, type Graph, microsoft, type Node, type OnnxDtype, type Value } from "./graph";

/** TensorProto.DataType */
const dataTypes: Readonly<Record<OnnxDtype, number>> = { F32: 1, U8: 2, I32: 6, I64: 7, F16: 10, BF16: 16 };
const dtypeOf = new Map(Object.entries(dataTypes).map(([dtype, type]) => [BigInt(type), dtype as OnnxDtype]));

/** The data type's number, for the attributes that name one. */
export const dataType = (dtype: OnnxDtype): number => dataTypes[dtype];

/** Where a tensor lies: in a file beside the graph, which is named without a folder. */
export interface Place {
  readonly file: string;
  readonly offset: number;
  readonly bytes: number;
}

/** A tensor beside the graph. */
export interface PlacedTensor extends Place {
  readonly spec: EntrySpec<OnnxDtype>;
}

const opset = 21;
const irVersion = 10;

/** A model file: the graph, and where its tensors lie. */
export function modelBytes(graph: Graph, tensors: readonly PlacedTensor[]): Uint8Array {
  return concat([
    intField(1, irVersion),
    bytesField(2, "QEP Studio"),
    bytesField(3, version),
    messageField(7, [
      ...graph.nodes.map((node) => messageField(1, nodeFields(node))),
      bytesField(2, "decoder"),
      ...graph.constants.map((constant) => messageField(5, constantFields(constant))),
      ...tensors.map((tensor) => messageField(5, tensorFields(tensor))),
      ...graph.inputs.map((value) => messageField(11, valueFields(value))),
      ...graph.outputs.map((value) => messageField(12, valueFields(value))),
    ]),
    messageField(8, [bytesField(1, ""), intField(2, opset)]),
    messageField(8, [bytesField(1, microsoft), intField(2, 1)]),
  ]);
}

/** NodeProto; its name is its first output's. */
const nodeFields = ({ type, domain, inputs, outputs, attributes }: Node): Uint8Array[] => [
  ...inputs.map((name) => bytesField(1, name)),
  ...outputs.map((name) => bytesField(2, name)),
  bytesField(3, outputs[0]),
  bytesField(4, type),
  ...Object.entries(attributes).map(([name, attribute]) => messageField(5, [bytesField(1, name), ...attributeFields(attribute)])),
  bytesField(7, domain),
];

const attributeFields = (attribute: Attribute): Uint8Array[] =>
  "int" in attribute ? [intField(3, attribute.int), intField(20, 2)] : [floatField(2, attribute.float), intField(20, 1)];

/** ValueInfoProto */
const valueFields = ({ name, dtype, shape }: Value): Uint8Array[] => [
  bytesField(1, name),
  messageField(2, [
    messageField(1, [
      intField(1, dataTypes[dtype]),
      messageField(
        2,
        shape.map((size) => messageField(1, [typeof size === "number" ? intField(1, size) : bytesField(2, size)])),
      ),
    ]),
  ]),
];

/** TensorProto with its numbers inside. */
function constantFields({ name, dtype, shape, values }: Constant): Uint8Array[] {
  const numbers = dtype === "I64" ? BigInt64Array.from(values, BigInt) : Int32Array.from(values, Number);
  return [...tensorHead(name, dtype, shape), bytesField(9, new Uint8Array(numbers.buffer))];
}

/** TensorProto that says where its numbers are. */
const tensorFields = ({ spec, file, offset, bytes }: PlacedTensor): Uint8Array[] => [
  ...tensorHead(spec.name, spec.dtype, spec.shape),
  ...Object.entries({ location: file, offset, length: bytes }).map(([key, value]) =>
    messageField(13, [bytesField(1, key), bytesField(2, String(value))]),
  ),
  intField(14, 1),
];

const tensorHead = (name: string, dtype: OnnxDtype, shape: readonly number[]): Uint8Array[] => [
  ...shape.map((size) => intField(1, size)),
  intField(2, dataTypes[dtype]),
  bytesField(8, name),
];

/** A graph has no weights: it stays far below this. */
export const mostGraphBytes = 64 * 2 ** 20;

const decoder = new TextDecoder();

/** The tensors that lie beside a model file, as it says; what it says is not checked. @throws QuantError `bad-file` where it is none. */
export function placedTensors(model: Uint8Array): PlacedTensor[] {
  const count = new FieldCount();
  const tensors: PlacedTensor[] = [];
  for (const graph of messages(model, 7, count))
    for (const message of messages(graph, 5, count)) {
      const tensor = placedTensor(message, count);
      if (tensor) tensors.push(tensor);
    }
  return tensors;
}

function placedTensor(tensor: Uint8Array, count: FieldCount): PlacedTensor | null {
  const shape: number[] = [];
  const places = new Map<string, string>();
  let name = "";
  let type: bigint | undefined;
  for (const { field, value } of fieldsOf(tensor, count)) {
    if (typeof value === "bigint") {
      if (field === 1) shape.push(Number(value));
      else if (field === 2) type = value;
    } else if (field === 8) name = decoder.decode(value);
    else if (field === 13) places.set(...placeOf(value, count));
  }
  if (!places.size) return null;
  const dtype = type === undefined ? undefined : dtypeOf.get(type);
  if (!dtype) throw new QuantError("bad-file", "a tensor of the ONNX graph has an unknown data type", "Write or download the file again.");
  return {
    spec: { name, dtype, shape },
    file: places.get("location") ?? "",
    offset: Number(places.get("offset")),
    bytes: Number(places.get("length")),
  };
}

/** StringStringEntryProto */
function placeOf(entry: Uint8Array, count: FieldCount): [key: string, value: string] {
  const texts = ["", ""];
  for (const { field, value } of fieldsOf(entry, count))
    if (typeof value !== "bigint" && (field === 1 || field === 2)) texts[field - 1] = decoder.decode(value);
  return [texts[0], texts[1]];
}

/** An operator with its attributes that are numbers, as a model file has it. */
export interface ReadNode {
  readonly type: string;
  readonly inputs: readonly string[];
  readonly ints: ReadonlyMap<string, number>;
  readonly floats: ReadonlyMap<string, number>;
}

/** The operators of a model file in their order; what it says is not checked. @throws QuantError `bad-file` where it is none. */
export function* nodesOf(model: Uint8Array): Generator<ReadNode> {
  const count = new FieldCount();
  for (const graph of messages(model, 7, count)) for (const node of messages(graph, 1, count)) yield nodeOf(node, count);
}

function nodeOf(node: Uint8Array, count: FieldCount): ReadNode {
  const inputs: string[] = [];
  const ints = new Map<string, number>();
  const floats = new Map<string, number>();
  let type = "";
  for (const { field, value } of fieldsOf(node, count)) {
    if (typeof value === "bigint") continue;
    if (field === 1) inputs.push(decoder.decode(value));
    else if (field === 4) type = decoder.decode(value);
    else if (field === 5) {
      const { name, int, float } = attributeOf(value, count);
      ints.set(name, int);
      if (float !== null) floats.set(name, float);
    }
  }
  return { type, inputs, ints, floats };
}

interface ReadAttribute {
  name: string;
  int: number;
  float: number | null;
}

function attributeOf(attribute: Uint8Array, count: FieldCount): ReadAttribute {
  const read: ReadAttribute = { name: "", int: 0, float: null };
  for (const { field, value } of fieldsOf(attribute, count)) {
    if (field === 1 && typeof value !== "bigint") read.name = decoder.decode(value);
    else if (field === 2 && typeof value !== "bigint" && value.length === 4) read.float = toFloats(value, "F32")[0];
    else if (field === 3 && typeof value === "bigint") read.int = Number(value);
  }
  return read;
}

/** The messages that stand in a field, one at a time: there may be a million. */
function* messages(message: Uint8Array, wanted: number, count: FieldCount): Generator<Uint8Array> {
  for (const { field, value } of fieldsOf(message, count)) if (field === wanted && typeof value !== "bigint") yield value;
}
