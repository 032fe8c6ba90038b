import { version } from "../../package.json";
import { asQuantError } from "../errors";
import { usage, wrong } from "./args";
import { evaluate, inspect, tasks } from "./commands";
import { exitOf, exits } from "./exit";
import { interruptSignal } from "./interrupt";
import { quantize } from "./quantize";
import { result, say } from "./terminal";
import { verify } from "./verify";

/** A command whose result decides the exit code resolves to it. */
type Command = (args: string[], signal: AbortSignal) => Promise<unknown>;

const commands: Record<string, Command> = { inspect, quantize, evaluate, tasks, verify };

/** Runs one command line and returns its exit code; every failure is one sentence on stderr. */
export async function main(args: readonly string[]): Promise<number> {
  const [name, ...rest] = args;
  try {
    if (name === undefined || name === "--help" || name === "-h" || rest.includes("--help")) {
      result(usage);
      return name === undefined ? exits.usage : exits.ok;
    }
    if (name === "--version") {
      result(version);
      return exits.ok;
    }
    if (!Object.hasOwn(commands, name)) throw wrong(`"${name}" is not a command`);
    const code = await commands[name](rest, interruptSignal());
    return typeof code === "number" ? code : exits.ok;
  } catch (e) {
    const error = asQuantError(e);
    say(error.message);
    return exitOf[error.about];
  }
}
