import { createContext, use } from "react";
import { useStore } from "zustand";
import { useShallow } from "zustand/react/shallow";
import type { State } from "../store/state";
import type { Studio } from "../store/studio";

export const StudioContext = createContext<Studio | null>(null);

export function useStudio(): Studio {
  const studio = use(StudioContext);
  if (!studio) throw new Error("outside of StudioContext");
  return studio;
}

/** A part of the state. The component renders again only when that part has changed (compared one level deep). */
export function useStudioState<T>(select: (state: State) => T): T {
  return useStore(useStudio().store, useShallow(select));
}
