/** BYTES: where a checkpoint comes from and where one goes to, whatever the platform. */

/** A file that can be read at any offset (browser File, Node file, URL with Range). Reads past the end, or of a file that changed, throw QuantError. */
export interface SourceFile {
  /** Plain file name; of an export's files that lie in a folder, with it: onnx/model.onnx. */
  readonly name: string;
  readonly size: number;
  /** Differs after the content changes, where the platform can tell without reading (modification time). */
  readonly version?: string;
  /** Bytes [start, end). Throws `file-changed` when the file changed since it was opened. */
  read(start: number, end: number): Promise<Uint8Array>;
}

/** A browser's file by its path in the folder that was given: a name, or onnx/ and a name. */
export interface GivenFile {
  readonly path: string;
  readonly file: File;
}

/** The files a person gave. */
export interface Source {
  /** What messages call it: the folder's name. */
  readonly label: string;
  readonly files: readonly SourceFile[];
}

/** One output file, written front to back. */
export interface SinkFile {
  write(bytes: Uint8Array): Promise<void>;
  close(): Promise<void>;
}

/** An output folder that looks finished only after `finish`. */
export interface Sink {
  /** Told how many bytes will be written, before any is. Throws disk-full where there is known to be less room. */
  prepare(bytes: number): Promise<void>;
  /** `size` is the exact number of bytes that will be written. Files are created one at a time; a name may begin with one folder. */
  create(name: string, size: number): Promise<SinkFile>;
  /** `check` may look at what was written before it counts as finished. If it throws, so does `finish`, and the output can still be aborted. */
  finish(check?: (written: Source) => Promise<void>): Promise<void>;
  /** Removes whatever was written. */
  abort(): Promise<void>;
}

/** The dtypes of safetensors that are handled here, by their names in the format. */
export type Dtype =
  | "F64"
  | "F32"
  | "F16"
  | "BF16"
  | "I64"
  | "I32"
  | "I16"
  | "I8"
  | "U64"
  | "U32"
  | "U16"
  | "U8"
  | "BOOL"
  | "F8_E4M3"
  | "F8_E5M2";

/** One tensor of a safetensors header; offsets are into the file, not the data section. */
export interface TensorInfo {
  readonly name: string;
  readonly dtype: Dtype;
  readonly shape: readonly number[];
  readonly start: number;
  readonly end: number;
}

/** All shards of a checkpoint as one: names are unique over them. */
export interface Shards {
  /** Sentences for the person on how the weight files were chosen. */
  readonly notes: readonly string[];
  readonly tensors: ReadonlyMap<string, TensorInfo & { readonly file: SourceFile }>;
  /** Bytes of a whole tensor, or of rows [from, to) of its first dimension. Throws missing-tensor, file-changed. */
  readTensor(name: string, rows?: { from: number; to: number }): Promise<Uint8Array>;
}
