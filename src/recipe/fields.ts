/** The table of a recipe's fields. A new field is one entry here; a method's own options stand with the method, in methods.ts. */
import { destinationIds, destinationTitles } from "./destinations";
import { choice, layerRules, optional, real, whole, yesNo } from "./field";
import { formatIds, formatTitles } from "./formats";

import { methodIds, methodSections, methodTitles } from "./methods";
import { tensorTypes, typeMixes } from "./types";

export const fields = {
  destination: choice(destinationIds, "measure", {
    label: "Where will you run it?",
    help: "Keeps format, bits and grids to what that runtime can hold; choosing it on the page or with this option also sets them.",
    flag: "for",
    titles: destinationTitles,
    unless: { path: "destination", is: "measure" },
    front: true,
  }),
  method: choice(methodIds, "gptq", {
    label: "Method",
    help: "How weights are rounded.",
    flag: "method",
    rule: "method",
    titles: methodTitles,
    front: true,
  }),
  bits: choice([2, 3, 4, 8], 4, {
    label: "Bits",
    help: "Bits of a quantized weight.",
    flag: "bits",
    rule: "bits",
    onlyIf: { path: "type", is: "none" },
    front: true,
  }),
  groupSize: choice([-1, 32, 64, 128], -1, {
    label: "Group size",
    help: "Input columns that share one scale; -1 is the whole row.",
    flag: "group-size",
    rule: "group",
    titles: { [-1]: "whole row (-1)" },
    onlyIf: { path: "type", is: "none" },
    front: true,
  }),
  symmetric: yesNo(false, {
    label: "Symmetric",
    help: "Use grids that are symmetric around zero.",
    flag: "sym",
    tag: "sym",
    onlyIf: { path: "type", is: "none" },
    front: true,
  }),
  zeros: choice(["integer", "real"], "integer", {
    label: "Zero points",
    help: "Integers, as most packed formats have them, or an offset in f16, which fits a group’s range better (dense, GGUF and MLX exports only).",
    flag: "zeros",
    titles: { integer: "integers", real: "real (an offset)" },
    onlyIf: { path: "type", is: "none" },
  }),
  type: choice(["none", ...tensorTypes, ...typeMixes], "none", {
    label: "GGUF type",
    help: "Round onto the grid of a GGUF type, or of llama-quantize’s mix of types, which settles bits, group size and zero points of each layer.",
    flag: "type",
    rule: "type",
    titles: { none: "none: bits and groups as given" },
    front: true,
  }),
  vocabulary: choice(["rounded", "kept"], "rounded", {
    label: "Embeddings and head",
    help: "Round embeddings and head too, as llama-quantize does beside a type (the head to Q6_K, embeddings of their own to the type), or keep them.",
    flag: "vocabulary",
    titles: { rounded: "rounded, as in llama.cpp", kept: "kept as they are" },
    unless: { path: "type", is: "none" },
  }),
  qep: {
    /** α in W*(α) = W + α·W·C·(H + λI)⁻¹. */
    alpha: real(0.5, {
      label: "QEP strength α",
      help: "Strength of QEP’s correction: 0 is the method without QEP.",
      flag: "alpha",
      rule: "alpha",
      min: 0,
      max: 1,
      front: true,
    }),
    downProj: yesNo(true, {
      label: "Correct down_proj too",
      help: "Gives down_proj the same α as the other layers, not 0, which the authors’ code gives it unless a rule names it.",
      flag: "qep-down-proj",
      unless: { path: "qep.choice", is: "best" },
    }),
    /** λ = damp · mean(diag H); null, auto: see quant/damping.ts. */
    damp: optional({
      label: "QEP damping",
      help: "Added to the diagonal of H in QEP’s solve, as a fraction of its mean; auto is a layer’s inputs ÷ calibration tokens, but at least 1 %.",
      flag: "qep-damp",
      min: 0,
      fraction: true,
      none: "auto",
    }),
    choice: choice(["given", "guarded", "best"], "given", {
      label: "α is",
      help: "Take α as given; as given, but 0 where it does harm on held-out windows; or, for each layer, the α that is best on those windows.",
      flag: "alpha-choice",
      titles: { given: "the strength above", guarded: "as above, but 0 where it does harm", best: "the best for each layer" },
      helps: {
        given: "Every layer has the same α, unless a rule names another.",
        guarded: "A few windows are held out of calibration; a layer that QEP makes worse on them keeps its weights.",
        best: "A few windows are held out of calibration; each layer’s α is where its error on them is least.",
      },
      front: true,
    }),
    /** Kept out of H and C. */
    heldOut: whole(4, {
      label: "Windows held out",
      help: "Windows to choose α on: taken in addition to the calibration windows, or from them where those are “all”.",
      flag: "held-out",
      min: 1,
      unless: { path: "qep.choice", is: "given" },
    }),
  },
  rules: layerRules({
    label: "Rules for some layers",
    help: "Changes settings for the layers whose name ends with the pattern (* is anything); later rules win.",
    flag: "rule",
  }),
  /** Seed of a fused rotation (QuaRot): nothing is rotated at run time. */
  rotation: optional({
    label: "Rotation seed",
    help: "Rotate the model first, which spreads outliers over all inputs; clients need not know, but a tied head is stored separately.",
    flag: "rotation-seed",
    min: 0,
    none: "off",
    switch: { flag: "rotate", label: "Rotate the model first (QuaRot, fused)" },
  }),
  ...methodSections,
  calibration: {
    windows: optional({
      label: "Calibration windows",
      help: "How many windows of the text are used.",
      flag: "windows",
      min: 1,
      none: "all",
    }),
    windowLength: whole(256, { label: "Window length", help: "Tokens in each window.", flag: "window-length", min: 2 }),
    seed: whole(0, { label: "Seed", help: "Picks the calibration windows.", flag: "seed", min: 0 }),
  },
  blocks: optional({
    label: "Blocks to quantize",
    help: "How many blocks are quantized, counting from the first.",
    flag: "blocks",
    min: 1,
    none: "all",
    front: true,
  }),
  format: choice(formatIds, "dense", {
    label: "Format",
    help: "Format of the exported checkpoint.",
    flag: "format",
    titles: formatTitles,
    front: true,
  }),
  splitSize: optional({
    label: "Split the file at (MB)",
    help: "Splits a GGUF file into parts of at most so many MB of tensors, which clients load together: browsers take no file of 2 GB.",
    flag: "split-size",
    min: 1,
    none: "one file",
    onlyIf: { path: "format", is: "gguf" },
  }),
  denseDtype: choice(["auto", "f16", "bf16", "f32"], "auto", {
    label: "Dense weights in",
    help: "Number format of a dense export’s weights: “auto” is f16 (f32 where f16 cannot hold a value) for quantized layers and leaves all others as they are.",
    flag: "dense-dtype",
    titles: { auto: "f16, others as in the source" },
    onlyIf: { path: "format", is: "dense" },
  }),
};

export type Fields = typeof fields;
