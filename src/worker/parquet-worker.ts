/** Reads one parquet file and is ended by whoever started it. */
import { asQuantError } from "../errors";
import { type ParquetRequest, parquetRows, type Row } from "../io/parquet";
import type { Reply } from "./protocol";

const answer = (reply: Reply<Row[]>) => postMessage(reply);

addEventListener("message", ({ data }: MessageEvent<ParquetRequest>) => {
  parquetRows(data).then(
    (value) => answer({ ok: true, value }),
    (e) => answer({ ok: false, error: asQuantError(e).flat() }),
  );
});
