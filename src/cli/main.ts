import { main } from "./cli";

// Exits by itself: a native WebGPU instance keeps Node's event loop alive.
main(process.argv.slice(2)).then((code) => process.stdout.write("", () => process.exit(code)));
