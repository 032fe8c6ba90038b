#!/usr/bin/env node
import { existsSync } from "node:fs";

const bundle = new URL("../dist/cli/main.js", import.meta.url);
if (existsSync(bundle)) {
  await import(bundle.href);
} else {
  console.error("The command line has not been built yet: run `npm ci` (or `npm run build:cli`) in the repository first.");
  process.exitCode = 1;
}
