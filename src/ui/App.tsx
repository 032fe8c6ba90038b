import css from "./App.module.css";
import { Banner } from "./Banner";
import { ExportPanel } from "./finish/ExportPanel";
import { PerplexityPanel } from "./finish/PerplexityPanel";
import { GrowthFigure } from "./growth/GrowthFigure";
import { Header } from "./Header";
import { OpenPanel } from "./open/OpenPanel";
import { RecipePanel } from "./recipe/RecipePanel";
import { RunBar } from "./run/RunBar";
import { LayersTable } from "./tables/LayersTable";
import { RunsTable } from "./tables/RunsTable";

/** One screen in the order of the work. */
export function App() {
  return (
    <div className={css.page}>
      <Header />
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
          <LayersTable />
        </div>
      </main>
    </div>
  );
}
