/** llama.cpp as the clients' package ships it. */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { root } from "./tree";

/** The folder of its libraries for this platform. */
export function llamaFolder(): string {
  const packages = join(root, "tests/interop/clients/node_modules/@node-llama-cpp");
  const system = process.platform === "darwin" ? "mac" : process.platform;
  const platform = readdirSync(packages).find((name) => name.startsWith(`${system}-${process.arch}`));
  if (!platform) throw new Error(`There is no llama.cpp for ${system}-${process.arch}: run \`npm run setup -- --tests\` first.`);
  const bins = join(packages, platform, "bins");
  return join(bins, readdirSync(bins)[0]);
}
