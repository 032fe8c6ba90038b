import { useEffect, useState } from "react";
import { fields } from "../../recipe/fields";
import type { LayerRule } from "../../recipe/recipe";
import { ruleOf, ruleText, ruleWords } from "../../recipe/rules";
import { LabelledField } from "../parts/fields";
import { strings } from "../strings";
import { useStudio, useStudioState } from "../studio";
import css from "./RecipePanel.module.css";

const text = strings.recipe;
const written = (rules: readonly LayerRule[]) => rules.map(ruleText).join("\n");

/** One rule per line. The rules go into the recipe as they are typed; while a line cannot be read, an error says so and nothing is run. */
export function RulesField({ error }: { error: string | null }) {
  const { editRecipe, faultRules } = useStudio();
  const rules = useStudioState((s) => s.recipe.rules);
  const isTyped = useStudioState((s) => s.recipe.type !== "none");
  const [draft, setDraft] = useState<string | null>(null);
  const [fault, setFault] = useState<string | null>(null);
  const [known, setKnown] = useState(rules);
  // A recipe was loaded: its rules replace what is being typed.
  if (rules !== known) {
    setKnown(rules);
    setDraft(null);
    setFault(null);
  }

  useEffect(() => {
    faultRules(fault);
    return () => faultRules(null);
  }, [fault, faultRules]);

  function edit(value: string) {
    setDraft(value);
    const lines = value.split("\n").filter((line) => line.trim());
    const read = lines.map(ruleOf);
    const wrong = read.find((r) => "fault" in r);
    setFault(wrong && "fault" in wrong ? wrong.fault : null);
    if (wrong) return;
    const mine = read.flatMap((r) => ("rule" in r ? [r.rule] : []));
    setKnown(mine);
    editRecipe({ rules: mine });
  }

  return (
    <LabelledField label={fields.rules.label} hint={text.rulesHint(ruleWords)} error={fault ?? error}>
      {(wired) => (
        <textarea
          {...wired}
          className={css.rules}
          rows={Math.min(8, Math.max(2, rules.length + 1))}
          spellCheck={false}
          placeholder={isTyped ? text.typeRulesExample : text.rulesExample}
          value={draft ?? written(rules)}
          onChange={(e) => edit(e.target.value)}
          onBlur={() => {
            if (!fault) setDraft(null);
          }}
        />
      )}
    </LabelledField>
  );
}
