/** Finds the machine's Vulkan driver, for a machine that may have no Vulkan loader and no manifest, only NVIDIA's libraries. */
import { existsSync, readdirSync, writeFileSync } from "node:fs";
import { delimiter, join } from "node:path";

/** Where manifests (ICD files) lie; containers mount a driver below /usr/local/nvidia. */
const folders = ["/usr/share/vulkan/icd.d", "/etc/vulkan/icd.d", "/usr/local/share/vulkan/icd.d", "/usr/local/nvidia/share/vulkan/icd.d"];
const libraryFolders = [
  ...["/usr/lib/x86_64-linux-gnu", "/lib/x86_64-linux-gnu", "/usr/lib64", "/lib64", "/usr/lib", "/usr/lib/x86_64-linux-gnu/nvidia/current"],
  ...["/usr/local/nvidia/lib64", "/usr/local/nvidia/lib", "/usr/local/lib", "/usr/lib/wsl/lib", "/run/opengl-driver/lib"],
];
/** NVIDIA's Vulkan driver goes by two names; the second needs nothing of X11. */
const nvidia = ["libGLX_nvidia.so.0", "libEGL_nvidia.so.0"];

export interface Files {
  exists(path: string): boolean;
  list(folder: string): string[];
  write(path: string, text: string): void;
}

const disk: Files = {
  exists: existsSync,
  list: (folder) => (existsSync(folder) ? readdirSync(folder).sort() : []),
  write: writeFileSync,
};

/** One way of starting Vulkan. */
export interface Way {
  /** The manifest to load, or null: the loader's own choice. */
  manifest: string | null;
  /** With the pack's own copies of common libraries, which a bare machine may lack. They would shadow newer ones, so only if it must be. */
  withLibraries: boolean;
  how: string;
}

/**
 * Ways to try in order until one gives an adapter.
 * @param temporary a folder for a manifest of our own.
 */
export function waysOf(env: NodeJS.ProcessEnv, temporary: string, files: Files = disk): Way[] {
  const named = env.QEP_VK_ICD || env.VK_DRIVER_FILES || env.VK_ICD_FILENAMES;
  const both = (manifest: string | null, how: string): Way[] => [
    { manifest, withLibraries: false, how },
    { manifest, withLibraries: true, how: `${how}, with the pack's own libraries` },
  ];
  if (named) return both(named, "the driver named by the environment");
  const manifests = folders.flatMap((folder) => files.list(folder).map((name) => join(folder, name)));
  const own = manifests.filter((path) => /nvidia[^/]*\.json$/.test(path));
  const search = [...(env.LD_LIBRARY_PATH?.split(delimiter).filter(Boolean) ?? []), ...libraryFolders];
  const found = nvidia.flatMap((name) => search.map((folder) => join(folder, name)).find((path) => files.exists(path)) ?? []);
  const written = found.map((library, i) => {
    const manifest = join(temporary, `nvidia_${i}_icd.json`);
    // What the library supports it says itself; the loader only wants more than 1.0 here.
    files.write(manifest, JSON.stringify({ file_format_version: "1.0.0", ICD: { library_path: library, api_version: "1.3.0" } }));
    return both(manifest, `a manifest written for ${library}`);
  });
  return [...own.flatMap((path) => both(path, path)), ...written.flat(), ...both(null, "the loader's own choice")];
}
