import { givenAs } from "../errors";
import { diskSourceFile } from "../io/node";
import type { SourceFile } from "../io/types";

/** The file of a text that was named on the command line. */
export const textFile = (path: string): Promise<SourceFile> => givenAs("text", () => diskSourceFile(path));
