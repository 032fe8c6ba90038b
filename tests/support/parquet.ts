/** Small parquet files with the columns that data sets are published with. */
import type { SchemaElement } from "hyparquet";
import { type ColumnSource, parquetWriteBuffer } from "hyparquet-writer";

export const parquet = (columnData: ColumnSource[], more: Omit<Parameters<typeof parquetWriteBuffer>[0], "columnData"> = {}): Uint8Array =>
  new Uint8Array(parquetWriteBuffer({ columnData, ...more }));

const text = (name: string): SchemaElement => ({ name, type: "BYTE_ARRAY", converted_type: "UTF8", repetition_type: "OPTIONAL" });
const texts = (name: string): SchemaElement[] => [
  { name, converted_type: "LIST", repetition_type: "OPTIONAL", num_children: 1 },
  { name: "list", repetition_type: "REPEATED", num_children: 1 },
  text("element"),
];

/** choices: a struct of two lists, as the Hub has it. */
export const arc = (questions: { question: string; choices: { text: string[]; label: string[] }; answerKey: string }[]): Uint8Array =>
  parquet(
    [
      { name: "id", data: questions.map((_, i) => `q${i}`) },
      { name: "question", data: questions.map((q) => q.question) },
      { name: "choices", data: questions.map((q) => q.choices) },
      { name: "answerKey", data: questions.map((q) => q.answerKey) },
    ],
    {
      schema: [
        { name: "schema", num_children: 4 },
        text("id"),
        text("question"),
        { name: "choices", repetition_type: "OPTIONAL", num_children: 2 },
        ...texts("text"),
        ...texts("label"),
        text("answerKey"),
      ],
    },
  );
