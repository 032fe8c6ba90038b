/** Shared libraries that the pack takes along from this machine. */
import { copyFileSync, existsSync, mkdirSync, realpathSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { findVulkanDriver } from "../find.mjs";
import { output, root } from "../proc.mjs";

const folders = ["/usr/lib/x86_64-linux-gnu", "/lib/x86_64-linux-gnu", "/usr/lib64", "/lib64", "/usr/lib"];

/** @param {string} name */
const find = (name) => folders.map((folder) => join(folder, name)).find((path) => existsSync(path)) ?? null;

/** @param {(string | null)[]} paths */
const there = (paths) => paths.filter((path) => path !== null);

/** The system's Vulkan loader, or the one beside Chromium's SwiftShader. */
function loaders() {
  const driver = findVulkanDriver();
  const beside = driver && join(dirname(driver), "libvulkan.so.1");
  return there([find("libvulkan.so.1") ?? (beside && existsSync(beside) ? beside : null)]);
}

/** What node and dawn.node need beyond glibc, by ldd: libstdc++ and libgcc_s, which minimal containers leave out. */
function cxxLibraries() {
  const glibc = /^(linux-vdso|ld-linux|libc\.|libm\.|libdl\.|libpthread\.|librt\.)/;
  const dawn = join(root, "node_modules/webgpu/dist/linux-x64/dawn.node");
  const lines = [process.execPath, dawn].flatMap((path) => (output("ldd", [path]) ?? "").split("\n"));
  const found = lines.flatMap((line) => {
    const [, name, path] = /^\s*(\S+) => (\/\S+)/.exec(line) ?? [];
    return path && !glibc.test(name) ? [path] : [];
  });
  return [...new Set(found)];
}

/** What NVIDIA's own libraries ask for. Machines with a desktop have them, containers often not. */
function commonLibraries() {
  const x11 = ["libX11.so.6", "libXext.so.6", "libxcb.so.1", "libXau.so.6", "libXdmcp.so.6", "libbsd.so.0", "libmd.so.0"];
  return there([...x11, "libGLdispatch.so.0", "libGLX.so.0"].map(find));
}

/**
 * The file in which Debian keeps the licence of what a file belongs to.
 * @param {string} path
 */
export function debianLicence(path) {
  const owner = [path, realpathSync(path)].map((name) => output("dpkg", ["-S", name])?.split(":")[0]).find(Boolean);
  const file = `/usr/share/doc/${owner}/copyright`;
  return owner && existsSync(file) ? file : null;
}

/**
 * Copies them under the names by which they are asked for, each with its licence.
 * @param {string} folder
 */
export function copyLibraries(folder) {
  const places = { lib: loaders(), "lib/c++": cxxLibraries(), "lib/common": commonLibraries() };
  if (places.lib.length === 0) console.log("No Vulkan loader (libvulkan.so.1) on this machine: the pack will need one where it runs.");
  mkdirSync(join(folder, "licences"), { recursive: true });
  for (const [place, paths] of Object.entries(places)) {
    mkdirSync(join(folder, place), { recursive: true });
    for (const path of paths) {
      const licence = debianLicence(path);
      if (licence) {
        copyFileSync(realpathSync(path), join(folder, place, basename(path)));
        copyFileSync(licence, join(folder, "licences", basename(path)));
      } else console.log(`${path} is left out: no licence of it is found on this machine.`);
    }
  }
}
