import { main } from "./cli";
import { isHelperThread } from "./helper";

// Exits by itself: a native WebGPU instance keeps Node's event loop alive.
if (!isHelperThread()) main(process.argv.slice(2)).then((code) => process.stdout.write("", () => process.exit(code)));
