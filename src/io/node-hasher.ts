import { createHash } from "node:crypto";
import type { StartHasher } from "./hasher";

/** Node's own SHA-256, several times faster than one in JavaScript. */
export const nodeHasher: StartHasher = () => {
  const hash = createHash("sha256");
  return {
    async update(bytes) {
      hash.update(bytes);
    },
    digest: async () => hash.digest("hex"),
    close: () => {},
  };
};
