/** A graph of operators as ONNX means it, before it is bytes. */
import type { Entry } from "../formats/format";

/** Data types by the names that safetensors has for them. */
export type OnnxDtype = "F32" | "F16" | "BF16" | "U8" | "I32" | "I64";

/** Whole numbers and floats are told apart by how they are given. */
export type Attribute = { readonly int: number } | { readonly float: number };

export interface Node {
  readonly type: string;
  /** "" is ONNX's own. */
  readonly domain: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: Readonly<Record<string, Attribute>>;
}

/** An input or output of the graph; a dimension may be a name. */
export interface Value {
  readonly name: string;
  readonly dtype: OnnxDtype;
  readonly shape: readonly (number | string)[];
}

/** A few whole numbers, inside the graph: shapes and axes. */
export interface Constant {
  readonly name: string;
  readonly dtype: "I32" | "I64";
  /** [] or [its length] */
  readonly shape: readonly number[];
  readonly values: readonly (number | bigint)[];
}

export interface Graph {
  readonly nodes: readonly Node[];
  readonly inputs: readonly Value[];
  readonly outputs: readonly Value[];
  readonly constants: readonly Constant[];
}

/** The operators that onnxruntime adds to ONNX's. */
export const microsoft = "com.microsoft";

export const int = (value: number): Attribute => ({ int: value });
export const float = (value: number): Attribute => ({ float: value });

/** Puts a graph together, operator after operator, with the tensors that lie beside it. */
export class GraphBuilder implements Graph {
  readonly nodes: Node[] = [];
  readonly inputs: Value[] = [];
  readonly outputs: Value[] = [];
  readonly constants: Constant[] = [];
  /** In the order in which the graph uses them. */
  readonly entries: Entry[] = [];

  /** An operator. Returns its first output's name. */
  op(
    type: string,
    inputs: readonly string[],
    output: string | readonly string[],
    attributes: Node["attributes"] = {},
    domain = "",
  ): string {
    const outputs = typeof output === "string" ? [output] : output;
    this.nodes.push({ type, domain, inputs, outputs, attributes });
    return outputs[0];
  }

  /** A tensor beside the graph. Returns its name. */
  tensor(entry: Entry): string {
    this.entries.push(entry);
    return entry.spec.name;
  }

  /** Whole numbers, as a vector or a scalar; the same values are kept once. Returns their name. */
  constant(values: readonly (number | bigint)[] | number, dtype: Constant["dtype"] = "I64"): string {
    const list = typeof values === "number" ? [values] : values;
    const name = `constant/${dtype}/${typeof values === "number" ? "scalar/" : ""}${list.join(",")}`;
    if (!this.constants.some((c) => c.name === name))
      this.constants.push({ name, dtype, shape: typeof values === "number" ? [] : [list.length], values: list });
    return name;
  }
}
