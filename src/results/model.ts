/** What is known of a checkpoint once it is open, before any weights are loaded. */
export interface ModelSummary {
  label: string;
  /** config.json's architecture, e.g. LlamaForCausalLM. */
  architecture: string;
  parameters: number;
  /** Dtypes of the tensors, most bytes first, e.g. ["BF16"]. */
  dtypes: string[];
  blocks: number;
  /** Linear layers that can be quantized. */
  layers: number;
  /** Null for an architecture that cannot be run here: it can only be rounded to nearest, and nothing is measured. */
  shape: {
    hidden: number;
    intermediate: number;
    heads: number;
    kvHeads: number;
    headDim: number;
    vocabulary: number;
    maxPositions: number;
    tied: boolean;
  } | null;
  /** Bytes of all tensors. */
  bytes: number;
  files: number;
  hasTokenizer: boolean;
  /** How the checkpoint is quantized already ("GPTQ 4-bit, …"): it can be measured, not quantized again. null: it is not. */
  packing: string | null;
  /** Sentences on how files and settings were read, wherever there was a choice. */
  notes: string[];
  /** Sentences on what is missing or odd but does not stop the model from opening. */
  warnings: string[];
}

/** The widths of all linear layers' inputs; empty where they are not known. */
export const inputWidths = ({ shape }: ModelSummary): number[] =>
  shape ? [shape.hidden, shape.intermediate, shape.heads * shape.headDim] : [];
