/** Goes on with a text in transformers.js: `node transformers-js.mjs PROMPT MORE FOLDER...` prints the texts as JSON, one for each folder. */
import { basename, dirname } from "node:path";
import { env, pipeline } from "@huggingface/transformers";

env.allowRemoteModels = false;
const [prompt, more, ...folders] = process.argv.slice(2);
const texts = [];
for (const folder of folders) {
  env.localModelPath = `${dirname(folder)}/`;
  // Neither dtype nor file name: config.json says it.
  const generate = await pipeline("text-generation", basename(folder));
  const [{ generated_text }] = await generate(prompt, { max_new_tokens: Number(more), do_sample: false });
  texts.push(generated_text);
}
console.log(JSON.stringify(texts));
