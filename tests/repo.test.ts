import { statSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { metaPolicy } from "../scripts/csp.mjs";
import { filesUnder, readText, root } from "./support/tree";

const all = filesUnder();
const data = /^(public\/demo|tests\/fixtures)\/|\.(npy|safetensors|png|ico|woff2)$/;
const texts = all.filter((path) => !data.test(path));
const locks = texts.filter((path) => /(^|\/)package-lock\.json$/.test(path));
const written = texts.filter((path) => /^(src|shaders|tests|scripts|bench)\//.test(path) && !locks.includes(path));

/** Lines that match, as "path:line". */
function places(paths: string[], pattern: RegExp): string[] {
  return paths.flatMap((path) =>
    readText(path)
      .split("\n")
      .flatMap((line, at) => (pattern.test(line) ? [`${path}:${at + 1}`] : [])),
  );
}

describe("the repository", () => {
  it("has no file over 400 lines", () => {
    expect(written.filter((path) => readText(path).split("\n").length - 1 > 400)).toEqual([]);
  });

  it("names no path of one machine", () => {
    expect(places(texts, /(?<![\w.})/-])\/(work|root|home)\//)).toEqual([]);
  });

  it("names no package registry, and pins every version", () => {
    // The brackets keep this line from finding itself.
    expect(places(texts, /regist[r]y\.npm|npmmirro[r]|py[p]i\.org|python[h]osted|artifact[o]ry/)).toEqual([]);
    const { dependencies, devDependencies } = JSON.parse(readText("package.json"));
    expect(Object.values({ ...dependencies, ...devDependencies }).filter((version) => !/^\d+\.\d+\.\d+$/.test(String(version)))).toEqual(
      [],
    );
    expect(locks.length).toBeGreaterThan(1);
    expect(places(locks, /"resolved"/)).toEqual([]);
  });

  it("writes no HTML by hand and waits for no timer in the engine", () => {
    const source = texts.filter((path) => path.startsWith("src/"));
    expect(places(source, /dangerouslySetInnerHTML|\.(inner|outer)HTML\b|insertAdjacentHTML|document\.write/)).toEqual([]);
    expect(
      places(
        source.filter((path) => path.startsWith("src/engine/")),
        /\bset(Timeout|Interval)\b/,
      ),
    ).toEqual([]);
  });

  it("keeps inline code out of the page's policy", () => {
    expect(metaPolicy).not.toMatch(/unsafe-(inline|eval)|\*|https?:/);
  });

  it("lets the launchers be executed", () => {
    const unexecutable = [".ci/run", "bin/qep-studio.mjs"].filter((path) => !(statSync(root + path).mode & 0o100));
    expect(process.platform === "win32" ? [] : unexecutable).toEqual([]);
  });
});
