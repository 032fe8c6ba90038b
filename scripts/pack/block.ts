/** One block of Llama-2-7B's shape by GPTQ with 4 bits in groups of 128, with QEP. */
import { openModel } from "../../src/model/checkpoint";
import type { Ops } from "../../src/ops/ops";
import { generatedSource } from "../../tests/support/generated";
import { configOf, made, recipeOf, report, type Size, type Windows } from "./models";
import { duration } from "./timing";
import { fact, noTime, type Teller } from "./types";

const megabytes = (bytes: number) => `${Math.round(bytes / 1e6)} MB`;

/** First as it is by default, with down_proj's α at 0, then with QEP in down_proj too, whose H and C are the largest. */
export async function blockRows(ops: Ops, name: string, size: Size, windows: Windows, tell: Teller): Promise<void> {
  tell.doing("making the weights");
  const start = performance.now();
  const model = await openModel(await made(generatedSource(name, configOf(size))));
  const making = (performance.now() - start) / 1000;
  const shape = `one block of ${name}'s shape, GPTQ 4 bits g128 + QEP, ${windows.windows} × ${windows.length} tokens`;
  let last = 0;
  for (const [how, alpha] of [
    ["down_proj without QEP, the default", 0],
    ["down_proj with QEP", 0.5],
  ] as const) {
    const what = `${shape}, ${how}`;
    tell.doing(what);
    // QEP in down_proj has been seen to take up to four times as long.
    if (Date.now() + 4000 * last > tell.until) {
      tell.row(fact(what, noTime));
      continue;
    }
    const { ms, peakGpuBytes, layers } = await report(ops, model, size, windows, recipeOf("gptq", 0.5, alpha));
    const compiling = last ? "" : "compiling included, ";
    last = ms / 1000;
    const worst = layers.reduce((a, b) => (a.relativeError > b.relativeError ? a : b));
    const process = megabytes(globalThis.process.resourceUsage().maxRSS * 1024);
    tell.row(fact(`${what}: time`, duration(last), `${compiling}without the ${duration(making)} in which the weights were made up`));
    tell.row(
      fact(
        `${what}: peak device memory`,
        megabytes(peakGpuBytes),
        `tensors; the process held ${process} at most, all weights as f16 in it`,
      ),
    );
    tell.row(fact(`${what}: largest error of a layer`, worst.relativeError.toExponential(2), worst.name));
  }
}
