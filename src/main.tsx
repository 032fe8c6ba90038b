import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { createStudio } from "./store/studio";
import { App } from "./ui/App";
import "./ui/tokens.css";
import "./ui/base.css";
import { Boundary } from "./ui/Boundary";
import { canPickFolder } from "./ui/save";
import { StudioContext } from "./ui/studio";
import { startClient } from "./worker/client";

const studio = createStudio(startClient, { picksFolders: canPickFolder() });
studio.start();

createRoot(document.getElementById("root")!).render(
  <StrictMode>
    <Boundary>
      <StudioContext value={studio}>
        <App />
      </StudioContext>
    </Boundary>
  </StrictMode>,
);
