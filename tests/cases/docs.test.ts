import { expect, test } from "vitest";
import { type Case, readCases, refusedCases } from "./checkpoints";
import { type TextCase, textCases } from "./texts";

const cell = (text: string) => text.replaceAll("|", "\\|").replaceAll("<", "&lt;");
const checkpoints = (cases: readonly Case[]) => cases.map(({ what, says }) => `| ${cell(what)} | ${says ? `“… ${cell(says)} …”` : ""} |`);
const texts = (cases: readonly TextCase[]) => cases.map(({ what, says }) => `| ${cell(what)} | ${says ? `“… ${cell(says)} …”` : ""} |`);

const page = [
  "# What is read, what is refused, and with which words",
  "",
  "What transformers loads, QEP Studio loads the same way, or refuses with a sentence that says why and what to do. Each row is a test in `tests/cases`,",
  "and this page is made from those tests (`npx vitest run --project unit tests/cases -u`). The logits of each family, rope type and mask are compared",
  "with transformers' in `tests/interop/families.test.ts`.",
  "",
  "## Checkpoints that are read",
  "",
  "| what | a part of what is reported |",
  "|---|---|",
  ...checkpoints(readCases),
  "",
  "## Checkpoints that are refused",
  "",
  "| what | a part of the sentence |",
  "|---|---|",
  ...checkpoints(refusedCases),
  "",
  "## Texts that are read",
  "",
  "| what | |",
  "|---|---|",
  ...texts(textCases.filter((c) => c.documents)),
  "| Parquet, by its content (uncompressed or snappy) | |",
  "| Token ids in .npy | |",
  "",
  "## Texts that are refused",
  "",
  "| what | a part of the sentence |",
  "|---|---|",
  ...texts(textCases.filter((c) => c.says)),
  "",
].join("\n");

test("docs/checkpoints.md tells what these tests test", async () => {
  await expect(page).toMatchFileSnapshot("../../docs/checkpoints.md");
});
