import { main } from "./cli";
import { isHelperThread } from "./helper";

// Calls exit, because a native WebGPU instance would keep Node's event loop alive.
if (!isHelperThread()) main(process.argv.slice(2)).then((code) => process.stdout.write("", () => process.exit(code)));
