import css from "./App.module.css";
import { Banner } from "./Banner";
import { ExportPanel } from "./finish/ExportPanel";
import { PerplexityPanel } from "./finish/PerplexityPanel";
import { TasksPanel } from "./finish/TasksPanel";
import { GpuPanel } from "./GpuPanel";
import { GrowthFigure } from "./growth/GrowthFigure";
import { LayersPanel } from "./layers/LayersPanel";
import { LogPanel } from "./log/LogPanel";
import { OpenPanel } from "./open/OpenPanel";
import { PageHeader } from "./PageHeader";
import { RecipePanel } from "./recipe/RecipePanel";
import { RunBar } from "./run/RunBar";
import { RunsTable } from "./tables/RunsTable";
import { useLeaveGuard } from "./useLeaveGuard";

/** One screen in the order of the work. */
export function App() {
  useLeaveGuard();
  return (
    <div className={css.page}>
      <PageHeader />
      <main className={css.main}>
        <div className={css.banner}>
          <Banner />
        </div>
        <div className={css.rail}>
          <OpenPanel />
          <RecipePanel />
        </div>
        <div className={css.work}>
          <RunBar />
          <GrowthFigure />
          <RunsTable />
          <div className={css.finish}>
            <PerplexityPanel />
            <ExportPanel />
          </div>
          <TasksPanel />
          <LayersPanel />
          <div className={css.foot}>
            <LogPanel />
            <GpuPanel />
          </div>
        </div>
      </main>
    </div>
  );
}
