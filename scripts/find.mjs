/** Where this machine keeps a Chromium and a Vulkan driver for the tests. Finds only; setup.mjs installs. */
import { existsSync, readdirSync } from "node:fs";
import { homedir } from "node:os";
import { delimiter, dirname, join } from "node:path";

const linux = process.platform === "linux";

/** @param {...(string | undefined)} parts */
const at = (...parts) => (parts.every((part) => part) ? [join(.../** @type {string[]} */ (parts))] : []);

/** @param {string} folder */
const entries = (folder) => (existsSync(folder) ? readdirSync(folder) : []);

/** Chromiums that `npx playwright install` left behind, newest first. */
function playwrightBrowsers() {
  const cache = { darwin: at(homedir(), "Library/Caches/ms-playwright"), win32: at(process.env.LOCALAPPDATA, "ms-playwright") };
  const [folder] = process.env.PLAYWRIGHT_BROWSERS_PATH
    ? [process.env.PLAYWRIGHT_BROWSERS_PATH]
    : (cache[/** @type {"darwin"} */ (process.platform)] ?? at(homedir(), ".cache/ms-playwright"));
  const inside = [
    "chrome",
    "chrome.exe",
    "Chromium.app/Contents/MacOS/Chromium",
    "Google Chrome for Testing.app/Contents/MacOS/Google Chrome for Testing",
  ];
  return entries(folder ?? "")
    .filter((name) => /^chromium-\d+$/.test(name))
    .sort((a, b) => Number(b.slice(9)) - Number(a.slice(9)))
    .flatMap((name) => entries(join(folder, name)).flatMap((sub) => inside.map((file) => join(folder, name, sub, file))));
}

function browsers() {
  const names = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
  const onPath = linux ? (process.env.PATH ?? "").split(delimiter).flatMap((folder) => names.map((name) => join(folder, name))) : [];
  const apps = ["/Applications", join(homedir(), "Applications")].flatMap((folder) =>
    ["Chromium", "Google Chrome"].map((name) => `${folder}/${name}.app/Contents/MacOS/${name}`),
  );
  const windows = ["PROGRAMFILES", "PROGRAMFILES(X86)", "LOCALAPPDATA"].flatMap((variable) =>
    ["Chromium", "Google/Chrome"].flatMap((name) => at(process.env[variable], name, "Application/chrome.exe")),
  );
  const usual = process.platform === "darwin" ? apps : process.platform === "win32" ? windows : onPath;
  return [...at(process.env.CHROMIUM_PATH), ...usual, ...playwrightBrowsers()];
}

/** Path of a Chromium, or null. A CHROMIUM_PATH that leads nowhere is passed over. */
export function findChromium() {
  return browsers().find((path) => existsSync(path)) ?? null;
}

/**
 * The manifest of a Vulkan driver that needs no GPU, or null. Chromium's SwiftShader first: it is what the page's tests run on, and Debian 12's
 * Mesa is too old for Dawn.
 */
export function findVulkanDriver() {
  const chosen = process.env.QEP_VK_ICD ?? process.env.VK_DRIVER_FILES ?? process.env.VK_ICD_FILENAMES;
  const homes = ["/usr/lib/chromium", "/usr/lib/chromium-browser", "/usr/lib64/chromium-browser", "/opt/google/chrome"];
  const swiftshader = [...homes, ...playwrightBrowsers().map(dirname)].map((folder) => join(folder, "vk_swiftshader_icd.json"));
  const icds = "/usr/share/vulkan/icd.d";
  const lavapipe = entries(icds)
    .filter((name) => name.startsWith("lvp_icd"))
    .map((name) => join(icds, name));
  return [...(chosen ? chosen.split(delimiter).slice(0, 1) : []), ...swiftshader, ...lavapipe].find((path) => existsSync(path)) ?? null;
}

/**
 * Variables that point Dawn in Node to that driver; only Linux needs any.
 * @returns {Record<string, string>}
 */
export function gpuEnvironment() {
  const driver = linux ? findVulkanDriver() : null;
  return driver === null ? {} : { VK_ICD_FILENAMES: driver, VK_DRIVER_FILES: driver };
}
