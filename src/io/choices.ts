import { sha256OfText } from "./digest";
import type { Scratch } from "./scratch";

/** Short texts by a key, kept for the next start. */
interface KeptChoices {
  read(key: string): Promise<string | null>;
  keep(key: string, value: string): Promise<void>;
}

/**
 * Choices in files of a scratch. Where there is none, or it cannot be read or written, nothing is kept: whoever asks finds out anew, as the first time.
 * @param open the scratch; null where the platform has no place for it.
 */
export function choicesIn(open: () => Promise<Scratch | null>): KeptChoices {
  const nameOf = async (key: string) => `${(await sha256OfText(key)).slice(0, 32)}.txt`;
  return {
    async read(key) {
      try {
        const scratch = await open();
        const name = await nameOf(key);
        if (!scratch || !(await scratch.names()).includes(name)) return null;
        return new TextDecoder().decode(await scratch.read(name));
      } catch {
        return null;
      }
    },
    async keep(key, value) {
      try {
        const scratch = await open();
        const name = await nameOf(key);
        await scratch?.remove(name);
        await scratch?.write(name, [new TextEncoder().encode(value)]);
      } catch {
        // See above.
      }
    },
  };
}
