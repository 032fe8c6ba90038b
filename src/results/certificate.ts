import type { Recipe } from "../recipe/recipe";

/** A file by its contents, as `sha256sum` and the Hub name them. */
export interface FileDigest {
  name: string;
  bytes: number;
  /** In hexadecimal. */
  sha256: string;
}

/** certificate.json of an export: what it was made from, by what, and what it is. The same run gives the same, on the page and on the command line. */
export interface Certificate {
  /** Of this file's form. */
  certificate: 1;
  program: string;
  recipe: Recipe;
  /** SHA-256 of the calibration's token windows; null where nothing was calibrated. */
  calibration: string | null;
  /** The checkpoint's weights, config and tokenizer. */
  source: FileDigest[];
  /** The export's files but the model card, which also names the adapter, and this one. */
  written: FileDigest[];
  /** What was read back and found to be, byte for byte, what was to be written: an export that is not has no files. */
  readBack: { tensors: number; bytes: number };
}
