/** Answers requests; whoever started the worker ends it. */
import { asQuantError } from "../errors";
import { doRequest, type HelperRequest } from "../model/helper";
import type { Reply } from "../results/reply";

const answer = (reply: Reply<unknown>) => postMessage(reply);

addEventListener("message", ({ data }: MessageEvent<HelperRequest>) => {
  doRequest(data).then(
    (value) => answer({ ok: true, value }),
    (e) => answer({ ok: false, error: asQuantError(e).flat() }),
  );
});
