/** What was measured as rows of docs/benchmarks.md. */
import { steps as cliSteps } from "./cli.mjs";
import { steps as pageSteps } from "./page.mjs";

/** @typedef {{ what: string, measured: string, goal: string | null, met: boolean | null, why: string | null }} Row */
/** @typedef {import("./cli.mjs").Measured} Measured */
/** @typedef {import("./cli.mjs").Quantized} Quantized */
/** @typedef {import("./page.mjs").Paged} Paged */
/** @typedef {import("./page.mjs").Compared} Compared */
/** @typedef {import("./watch.mjs").Taken} Taken */
/** @typedef {Record<string, import("./facts.mjs").Fact<any>>} All */

/** Two perplexities that agree within this agree to three digits. */
const near = 5e-4;
const goal = "transformers’ to 3 digits";

const count = (/** @type {number} */ n) => n.toLocaleString("en");
const megabytes = (/** @type {number} */ bytes) => `${count(Math.round(bytes / 1e6))} MB`;
const isNear = (/** @type {number} */ a, /** @type {number} */ b) => Math.abs(a / b - 1) <= near;

/** @param {number} ms */
function time(ms) {
  const seconds = Math.round(ms / 1000);
  return seconds < 100 ? `${seconds} s` : `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
}

/** Why a time says less than it should, or null. @param {Taken} taken @param {boolean} [resumed] */
function busy({ others }, resumed = false) {
  const sentences = [
    ...(resumed ? ["The run was interrupted and resumed; the times of its blocks are added up."] : []),
    ...(others !== null && others > 0.05
      ? [`Other work had ${Math.round(100 * others)} % of the processors meanwhile: alone, it is faster.`]
      : []),
  ];
  return sentences.join(" ") || null;
}

/** A row without a goal. @param {string} what @param {string} measured @param {string | null} [why] @returns {Row} */
const told = (what, measured, why = null) => ({ what, measured, goal: null, met: null, why });

/** @param {string} what @param {Measured} m @param {string} [more] @returns {Row[]} */
const perplexityRows = (what, { perplexity, theirs, windows, tokens, taken }, more = "") => [
  {
    what: `${what}: perplexity on ${windows} windows of ${tokens / windows}`,
    measured: `${perplexity.toFixed(3)}${more}; transformers: ${theirs.toFixed(3)}`,
    goal,
    met: isNear(perplexity, theirs),
    why: null,
  },
  told(`${what}: time of evaluating ${count(tokens)} tokens`, time(taken.ms), busy(taken)),
];

/** @param {Quantized} q @returns {Row[]} */
const quantizingRows = ({ ms, peakGpuBytes, blocks, layers, fallbacks, tokens, resumed, taken }) => [
  told(`command line: time of quantizing ${blocks} blocks on ${count(tokens)} tokens`, time(ms), busy(taken, resumed)),
  told("command line: peak memory of the GPU", megabytes(peakGpuBytes)),
  told(
    "command line: peak memory of the process",
    taken.peaks.node === undefined ? "not known on this system" : megabytes(taken.peaks.node),
    "On a software adapter the GPU’s memory is in it.",
  ),
  {
    what: "command line: layers quantized as asked",
    measured: `${layers - fallbacks} of ${layers}`,
    goal: "all",
    met: fallbacks === 0,
    why: null,
  },
];

/** @param {Paged} p @returns {Row[]} */
const pageRows = ({ peak, taken, before, after, measuring, theirs, blocks, windows }) => [
  told(
    `page: time of quantizing the first ${blocks} blocks`,
    time(taken.ms),
    ["Both streams go through all 30 blocks, to follow the error.", busy(taken)].filter(Boolean).join(" "),
  ),
  told(
    "page: peak memory of the GPU, as it tells",
    peak,
    "With a recording of the original’s stream, which the page keeps for the next α.",
  ),
  ...["gpu-process", "renderer"].flatMap((kind) =>
    taken.peaks[kind] === undefined ? [] : [told(`page: peak memory of Chromium’s ${kind}`, megabytes(taken.peaks[kind]))],
  ),
  {
    what: `page: perplexity before on ${windows} windows`,
    measured: `${before}; transformers: ${theirs.toFixed(3)}`,
    goal,
    met: isNear(before, theirs),
    why: null,
  },
  told(`page: perplexity after on ${windows} windows`, String(after)),
  told("page: time of measuring both", time(measuring.ms), busy(measuring)),
];

/** @param {Compared[]} compared @param {string} adapters @returns {Row[]} */
const comparedRows = (compared, adapters) =>
  compared.map(({ block, weights, different }) => ({
    what: `block ${block + 1}: the page’s weights beside the command line’s`,
    measured: different === 0 ? `all ${count(weights)} are the same bytes` : `${count(different)} of ${count(weights)} differ`,
    goal: "the same bytes",
    met: different === 0,
    why: adapters,
  }));

/**
 * The rows of what is known; what was measured at another commit says so.
 * @param {All} all
 * @param {string} commit
 * @returns {Row[]}
 */
export function rowsOf(all, commit) {
  /** @param {string} step @param {(value: any) => Row[]} make */
  const of = (step, make) => {
    const fact = all[step];
    if (!fact) return [];
    const [first, ...rest] = make(fact.value);
    if (fact.commit === commit) return [first, ...rest];
    const old = `This and what follows of the same kind was measured at commit ${fact.commit}, ${fact.date}.`;
    return [{ ...first, why: [first.why, old].filter(Boolean).join(" ") }, ...rest];
  };
  const [before, run, paged] = [all[cliSteps.before]?.value, all[cliSteps.quantizing], all[pageSteps.running]];
  const side = (/** @type {import("./facts.mjs").Fact<any> | undefined} */ fact) => `${fact?.value.adapter} at commit ${fact?.commit}`;
  const rise = (/** @type {Measured} */ after) =>
    before && ` (${(100 * (after.perplexity / before.perplexity - 1)).toFixed(1)} % above before)`;
  return [
    ...of(cliSteps.before, (m) => perplexityRows("command line, before", m)),
    ...of(cliSteps.quantizing, quantizingRows),
    ...of(cliSteps.after, (m) => perplexityRows("command line, after", m, rise(m))),
    ...of(pageSteps.running, pageRows),
    ...of(pageSteps.comparing, (c) => comparedRows(c, `Page: ${side(paged)}; command line: ${side(run)}.`)),
  ];
}
