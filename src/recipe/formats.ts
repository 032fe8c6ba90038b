/** The export formats by their ids in a recipe, with the names people read. Each is implemented by the file of that id in export/formats/. */
export const formatNames = {
  dense: { title: "Dense (loads where the original does)", short: "dense" },
  gptq: { title: "GPTQ (packed)", short: "GPTQ packed" },
};

export type FormatId = keyof typeof formatNames;
export const formatIds = Object.keys(formatNames) as FormatId[];
export const formatTitles = Object.fromEntries(formatIds.map((id) => [id, formatNames[id].title])) as Record<FormatId, string>;
