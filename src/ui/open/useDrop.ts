import { useEffect, useEffectEvent, useState } from "react";
import type { Given } from "../../store/opening";
import { filesOfDrop } from "../drop";

/**
 * Takes files dropped anywhere on the page (a miss would make the browser leave it) but where somebody else takes them. True while something hovers.
 * The keyboard's way in are the buttons.
 */
export function useDrop(take: (given: Given) => void): boolean {
  const [over, setOver] = useState(false);
  const taken = useEffectEvent(take);

  useEffect(() => {
    const stop = new AbortController();
    const on = (type: "dragover" | "dragleave" | "drop", handle: (event: DragEvent) => void) =>
      window.addEventListener(type, (event) => event.dataTransfer?.types.includes("Files") && handle(event), { signal: stop.signal });
    on("dragover", (event) => {
      setOver(!event.defaultPrevented);
      event.preventDefault();
    });
    on("dragleave", (event) => event.relatedTarget === null && setOver(false));
    on("drop", (event) => {
      setOver(false);
      // Somebody else has taken it.
      if (event.defaultPrevented) return;
      event.preventDefault();
      const nothing: Given = { files: [], label: "" };
      filesOfDrop(event.dataTransfer!).then(taken, () => taken(nothing));
    });
    return () => stop.abort();
  }, []);
  return over;
}
