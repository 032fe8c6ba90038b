/** The page on the reference and a tiny demo (tests/ui/harness), in states that stand still. */
import { test as base, expect, type Page } from "@playwright/test";
import { createServer, type ViteDevServer } from "vite";
import { tinyDemo } from "../support/tiny-demo";
import { root } from "../support/tree";

async function serve(): Promise<ViteDevServer> {
  const server = await createServer({
    root,
    configFile: `${root}vite.config.ts`,
    logLevel: "error",
    server: { port: 0, host: "127.0.0.1", hmr: false, watch: null },
    // All at once: a dependency found later would reload the page.
    optimizeDeps: {
      include: ["react", "react-dom/client", "react/jsx-dev-runtime", "recharts", "zustand", "zustand/vanilla", "valibot", "comlink"],
    },
  });
  return server.listen();
}

export const test = base.extend<{ blocks: number; play: (state: string) => Promise<Page> }, { harness: string }>({
  /** Of the demo model; the real one has 12. */
  blocks: [4, { option: true }],
  harness: [
    // biome-ignore lint/correctness/noEmptyPattern: Playwright reads which fixtures it wants from the pattern
    async ({}, use) => {
      const server = await serve();
      await use(`${server.resolvedUrls!.local[0]}tests/ui/harness/`);
      await server.close();
    },
    { scope: "worker" },
  ],
  play: async ({ page, harness, blocks }, use) => {
    const demo = tinyDemo({ num_hidden_layers: blocks });
    const faults: string[] = [];
    page.on("pageerror", (error) => faults.push(error.message));
    await page.context().route("**/demo/**", (route) => {
      const content = demo.get(new URL(route.request().url()).pathname.replace("/demo/", ""));
      return content ? route.fulfill({ body: Buffer.from(content) }) : route.abort();
    });
    await use(async (state) => {
      await page.goto(`${harness}?state=${state}`);
      await expect(page.locator("body[data-played]")).toBeAttached();
      return page;
    });
    expect(faults).toEqual([]);
  },
});

export { expect };
