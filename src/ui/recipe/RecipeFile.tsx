import { useState } from "react";
import { asQuantError, QuantError } from "../../errors";
import { parseRecipe } from "../../recipe/schema";
import { Alert } from "../parts/Alert";
import { FileButton } from "../parts/Button";
import { strings } from "../strings";
import { useStudio } from "../studio";

const text = strings.recipe;
const mostBytes = 256 * 1024;

/** Loads a recipe.json, from an export or written by hand, into the panel. */
export function RecipeFile() {
  const studio = useStudio();
  const [wrong, setWrong] = useState<string | null>(null);

  async function load(file: File) {
    try {
      if (file.size > mostBytes) throw new QuantError("bad-recipe", text.tooLarge.replace(/\.$/, ""));
      studio.loadRecipe(parseRecipe(parsedJson(await file.text(), file.name)));
      setWrong(null);
      studio.notify(text.loaded(file.name));
    } catch (cause) {
      setWrong(asQuantError(cause).message);
    }
  }

  return (
    <>
      <div>
        <FileButton
          label={text.load}
          accept=".json"
          onChange={(e) => {
            const file = e.target.files?.[0];
            e.target.value = "";
            if (file) load(file);
          }}
        />
      </div>
      {wrong && <Alert>{wrong}</Alert>}
    </>
  );
}

function parsedJson(json: string, name: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    throw new QuantError("bad-json", name);
  }
}
