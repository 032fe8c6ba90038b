import { blobFile, givenSource } from "../io/browser";
import type { Source } from "../io/types";
import { zipSource } from "../io/zip-source";
import type { Given } from "./protocol";

/** The files by their paths or, of one zip alone, those in it. @throws QuantError `bad-file` for a zip that is not as we write them. */
export async function sourceOfGiven({ files, label }: Given): Promise<Source> {
  if (files.length === 1 && /\.zip$/i.test(files[0].path)) return { ...(await zipSource(blobFile(files[0].file))), label };
  return givenSource(files, label);
}
