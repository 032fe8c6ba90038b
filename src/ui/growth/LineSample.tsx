import { colourOf, dashOf } from "./rows";

/** A run's line in small: colour and dash. */
export function LineSample({ slot }: { slot: number }) {
  return (
    <svg width="34" height="10" aria-hidden="true" focusable="false">
      <line x1="1" x2="33" y1="5" y2="5" stroke={colourOf(slot)} strokeWidth="2.5" strokeDasharray={dashOf(slot)} />
    </svg>
  );
}
