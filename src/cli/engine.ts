import { Engine } from "../engine/engine";
import { nodePlatform } from "./platform";

/** Does `work` with an engine that is shut down afterwards. @param place the folder where a run is kept; null where no run is made. */
export async function withEngine(
  { reference, place }: { reference: boolean; place: string | null },
  work: (engine: Engine) => Promise<void>,
): Promise<void> {
  const platform = nodePlatform(reference, place);
  const engine = new Engine(platform);
  try {
    await work(engine);
  } finally {
    await engine.close();
    await platform.close();
  }
}
