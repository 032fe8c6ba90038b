/** What was measured, kept in the cache, so that an interrupted run goes on and parts can be run by themselves. */
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { findVulkanDriver } from "../find.mjs";
import { output, root } from "../proc.mjs";

/**
 * @template T
 * @typedef {object} Fact
 * @property {string} key what it was measured with
 * @property {string} date
 * @property {string} commit the newest known to give that key: a commit that changes no program leaves what was measured as it is
 * @property {T} value
 */

/** One hash of a built target (scripts/build.mjs writes what it was built of) and whatever else a measurement depends on. @param {"page" | "cli"} target @param {unknown} settings */
export function keyOf(target, settings) {
  const built = readFileSync(join(root, "dist", `${target}.stamp`), "utf8");
  return createHash("sha256")
    .update(JSON.stringify([built, settings, findVulkanDriver()]))
    .digest("hex")
    .slice(0, 16);
}

export const commit = () => output("git", ["-C", root, "rev-parse", "--short", "HEAD"]) ?? "unknown";

export class Facts {
  /** @param {string} file @param {boolean} fresh */
  constructor(file, fresh) {
    this.file = file;
    this.fresh = fresh;
    /** @type {Record<string, Fact<any>>} */
    this.all = existsSync(file) ? JSON.parse(readFileSync(file, "utf8")) : {};
  }

  /** @param {string} name */
  drop(name) {
    delete this.all[name];
  }

  /**
   * What is known under this name and key, or else what `measure` gives, kept from now on.
   * @template T
   * @param {string} name
   * @param {string} key
   * @param {() => Promise<T>} measure
   * @returns {Promise<T>}
   */
  async get(name, key, measure) {
    const known = this.all[name];
    if (known?.key === key && !this.fresh) {
      console.log(`${name}: measured already, ${known.date}`);
      known.commit = commit();
      this.save();
      return known.value;
    }
    console.log(`${name} ...`);
    return this.put(name, key, await measure());
  }

  /**
   * @template T
   * @param {string} name
   * @param {string} key
   * @param {T} value
   * @returns {T}
   */
  put(name, key, value) {
    this.all[name] = { key, date: new Date().toISOString().slice(0, 10), commit: commit(), value };
    this.save();
    return value;
  }

  save() {
    mkdirSync(dirname(this.file), { recursive: true });
    writeFileSync(`${this.file}.partial`, JSON.stringify(this.all, null, 2));
    renameSync(`${this.file}.partial`, this.file);
  }
}
