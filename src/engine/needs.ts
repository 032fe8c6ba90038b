import { type Stage, stages } from "../model/layers";
import { sameSettings, type WantedFactor } from "../quant/factor";
import { byMethod, type LayerPlan } from "../quant/layer-plan";
import { correctionFactor } from "../quant/qep";
import { quantizers } from "../quant/registry";
import type { LayerKind } from "../recipe/recipe";

/** What a stage of a run must compute for its layers. */
interface StageNeeds {
  H: boolean;
  C: boolean;
  /** At least one layer is corrected. */
  corrected: boolean;
  /** A method reads H itself, not only a factor of it. */
  keepsH: boolean;
  /** A method reads C itself. */
  keepsC: boolean;
}

/** What the plans of one stage's layers need. */
export function stageNeeds(layers: readonly LayerPlan[]): StageNeeds {
  const corrected = layers.some(({ alpha, choice }) => alpha > 0 || choice === "best");
  const methods = layers.map(({ method }) => quantizers[method]);
  const keepsC = methods.some(({ needs }) => needs.C);
  return {
    H: corrected || methods.some(({ needs }) => needs.H),
    C: corrected || keepsC,
    corrected,
    keepsH: methods.some(({ needs, factor }) => needs.H && !factor),
    keepsC,
  };
}

/** The factors of H that a stage makes: QEP's, then those of methods that cannot use it. */
export function factorsWanted(layers: readonly LayerPlan[]): WantedFactor[] {
  const wanted = layers.map(({ method, options }) => quantizers[method].factor?.(options)).filter((settings) => settings !== undefined);
  const all = stageNeeds(layers).corrected ? [correctionFactor(layers), ...wanted] : wanted;
  return all.filter((settings, i) => all.findIndex((other) => sameSettings(other, settings)) === i);
}

/** Whether W·C of all layers together is smaller than C, so that it is made before the factor and C need not stay beside that. */
export const crossesEarly = (layers: readonly LayerPlan[]): boolean =>
  stageNeeds(layers).corrected && layers.reduce((sum, { shape }) => sum + shape[0], 0) < layers[0].shape[1];

/** A stage's layers in the portions that their methods take at a time. */
export const unitsOf = (layers: readonly LayerPlan[]): LayerPlan[][] =>
  [...byMethod(layers)].flatMap(([method, mine]) => (quantizers[method].byLayer ? mine.map((layer) => [layer]) : [mine]));

/** The weights that must be on the device for a stage: its own, and for a method that looks at the module's output, those of the module's end. */
export function weightsFor(layers: readonly LayerPlan[], stage: Stage): readonly LayerKind[] {
  const opensModule = stage.id === "qkv" || stage.id === "gate_up";
  if (!opensModule || !layers.some(({ method }) => quantizers[method].holdsOutputs)) return stage.kinds;
  return [...stage.kinds, ...stages[stages.indexOf(stage) + 1].kinds];
}
