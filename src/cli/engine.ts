import { Engine } from "../engine/engine";
import { nodePlatform } from "./platform";

/** Work with an engine that is shut down afterwards. @param place where a run is kept; null: none is made. */
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
