import { main } from "./cli";
import { isParquetThread } from "./parquet";

// Exits by itself: a native WebGPU instance keeps Node's event loop alive.
if (!isParquetThread()) main(process.argv.slice(2)).then((code) => process.stdout.write("", () => process.exit(code)));
