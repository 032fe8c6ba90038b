import { Engine } from "../engine/engine";
import { memoryOf } from "./args";
import { nodePlatform } from "./platform";

/** Does `work` with an engine on the device of these options, shut down afterwards. @param place the folder where a run is kept; null where no run is made. */
export async function withEngine(
  { cpu = false, "gpu-memory": memory }: { cpu?: boolean; "gpu-memory"?: string },
  place: string | null,
  work: (engine: Engine) => Promise<void>,
): Promise<void> {
  const bytes = memoryOf(memory);
  const platform = nodePlatform(cpu, place);
  const engine = new Engine(platform);
  engine.limitMemory(bytes);
  try {
    await work(engine);
  } finally {
    await engine.close();
    await platform.close();
  }
}
