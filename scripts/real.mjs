/**
 * `npm run real -- [--only cli,page] [--fresh] [--small]`: a real model, SmolLM2-135M, through the command line whole and through the page for its first
 * blocks; into docs/benchmarks/real.json. What is in the cache is neither fetched nor measured again, unless what was measured has changed.
 */
import { join } from "node:path";
import { parseArgs } from "node:util";
import { Stop, script } from "./proc.mjs";
import { runCli } from "./real/cli.mjs";
import { Facts } from "./real/facts.mjs";
import { cache, ensureModel } from "./real/model.mjs";
import { runPage } from "./real/page.mjs";
import { report } from "./real/report.mjs";
import { small, whole } from "./real/settings.mjs";
import { ensureBrowser } from "./setup.mjs";

const parts = { cli: runCli, page: runPage };

function options() {
  /** @type {{ only?: string[], fresh?: boolean, small?: boolean }} */
  let values;
  try {
    ({ values } = parseArgs({
      options: { only: { type: "string", multiple: true }, fresh: { type: "boolean" }, small: { type: "boolean" } },
    }));
  } catch (error) {
    throw new Stop(/** @type {Error} */ (error).message);
  }
  const names = /** @type {(keyof typeof parts)[]} */ (values.only?.flatMap((list) => list.split(",")) ?? Object.keys(parts));
  const unknown = names.find((name) => !(name in parts));
  if (unknown !== undefined) throw new Stop(`--only ${unknown}: there are ${Object.keys(parts).join(" and ")}.`);
  return { names, fresh: values.fresh === true, size: values.small ? small : whole };
}

await script(async () => {
  const { names, fresh, size } = options();
  await ensureBrowser();
  const python = await ensureModel();
  const facts = new Facts(join(cache, `facts-${size.name}.json`), fresh);
  for (const name of names) await parts[name](facts, size, python);
  await report(facts, size);
});
