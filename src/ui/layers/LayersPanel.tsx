import { selectedRun } from "../../store/next";
import { runTitle } from "../format";
import { Panel } from "../parts/Panel";
import { strings } from "../strings";
import { useStudio, useStudioState } from "../studio";
import { Heatmap } from "./Heatmap";
import { LayerFactsPanel } from "./LayerFactsPanel";
import css from "./LayersPanel.module.css";
import { LayersTable } from "./LayersTable";

const text = strings.layers;

/** Where in the network the selected run's error arises: a map, a table, and the facts of the layer that is chosen in either. */
export function LayersPanel() {
  const studio = useStudio();
  const run = useStudioState(selectedRun);
  const chosen = useStudioState((s) => s.layer.name);
  if (!run) return null;
  return (
    <Panel title={text.title} aside={text.of(run.number, runTitle(run))}>
      {run.layers.length === 0 && !run.dragged ? (
        <p className={css.quiet}>{text.empty}</p>
      ) : (
        <div className={css.parts}>
          <Heatmap
            layers={run.layers}
            blocks={run.totalBlocks}
            coming={run.status === "running" ? run.quantizedBlocks : 0}
            chosen={chosen}
            onChoose={studio.chooseLayer}
          />
          <LayerFactsPanel />
          <LayersTable layers={run.layers} expected={run.quantizedBlocks * 7} chosen={chosen} onChoose={studio.chooseLayer} />
        </div>
      )}
    </Panel>
  );
}
