import { useEffect } from "react";
import { useStudioState } from "./studio";

/** While a job is under way the browser asks before it leaves the page. */
export function useLeaveGuard(): void {
  const working = useStudioState((s) => s.job !== null);
  useEffect(() => {
    if (!working) return;
    const ask = (event: BeforeUnloadEvent) => event.preventDefault();
    window.addEventListener("beforeunload", ask);
    return () => window.removeEventListener("beforeunload", ask);
  }, [working]);
}
