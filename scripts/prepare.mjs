/** npm runs this at the end of `npm ci`, so that `npx --no-install qep-studio` works from then on. npx runs it too: hence only if stale. */
import { build } from "./build.mjs";
import { script } from "./proc.mjs";

await script(() => build("cli", { ifStale: true, quiet: true }));
