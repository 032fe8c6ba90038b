import { defineConfig } from "@playwright/test";
import config from "../playwright.config";

/** As the tests' own, over what measures times. */
export default defineConfig({ ...config, testDir: ".", testMatch: "*.page.ts", webServer: { ...config.webServer!, cwd: ".." } as never });
