/** A line chart as SVG that needs nothing around it: its own ground, so that it reads on light and dark pages alike. */

export interface Line {
  label: string;
  color: string;
  values: readonly number[];
  /** Drawn as rings: another author's figures for the same. */
  dots: readonly number[];
}

export interface Panel {
  title: string;
  axis: "log" | "linear";
  lines: readonly Line[];
}

const size = { width: 380, height: 300, left: 56, right: 14, top: 52, bottom: 40 };
const ink = "#24292f";
const faint = "#d0d7de";
const font = 'font-family="system-ui, sans-serif" font-size="12"';

const text = (x: number, y: number, content: string, more = "") => `<text x="${x}" y="${y}" fill="${ink}" ${more}>${content}</text>`;
const round = (x: number) => Number(x.toFixed(1));

/** 1, 2 and 5 times the powers of ten that lie between. */
export function logTicks(low: number, high: number): number[] {
  const ticks: number[] = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.log10(high); power++)
    for (const digit of [1, 2, 5]) ticks.push(Number(`${digit}e${power}`));
  return ticks.filter((t) => t >= low && t <= high);
}

/** From 0 on, at a step of 1, 2 or 5 times a power of ten, at most six of them. */
export function linearTicks(high: number): number[] {
  const power = 10 ** Math.floor(Math.log10(high / 6));
  const step = power * ([1, 2, 5, 10].find((digit) => digit * power * 6 >= high) ?? 10);
  return Array.from({ length: Math.floor(high / step) + 1 }, (_, i) => Number((i * step).toPrecision(6)));
}

const tickLabel = (t: number) => (t >= 1e4 ? t.toExponential(0).replace("+", "") : String(t));

/** One panel over blocks 1…n. Blocks after `quantized` lie on a shaded ground. */
function panel({ title, axis, lines }: Panel, quantized: number, x0: number): string {
  const all = lines.flatMap((line) => [...line.values, ...line.dots]);
  const log = axis === "log";
  const [low, high] = [log ? Math.min(...all) / 1.15 : 0, Math.max(...all) * 1.15];
  const blocks = lines[0].values.length;
  const [w, h] = [size.width - size.left - size.right, size.height - size.top - size.bottom];
  const x = (m: number) => round(x0 + size.left + (w * (m - 0.5)) / blocks);
  const y = (v: number) => round(size.top + h * (1 - (log ? Math.log(v / low) / Math.log(high / low) : v / high)));
  const [from, to] = [x(0.5), x(blocks + 0.5)];
  const edge = x(quantized + 0.5);
  const shade = `<rect x="${edge}" y="${size.top}" width="${round(to - edge)}" height="${h}" fill="#eaeef2"/>`;
  const grid = (log ? logTicks(low, high) : linearTicks(high)).map(
    (t) =>
      `<path d="M${from} ${y(t)}H${to}" stroke="${faint}"/>${text(from - 6, y(t) + 4, tickLabel(t), 'text-anchor="end" font-size="11"')}`,
  );
  const numbers = Array.from({ length: blocks }, (_, m) =>
    text(x(m + 1), size.height - size.bottom + 16, String(m + 1), 'text-anchor="middle" font-size="11"'),
  );
  const curves = lines.map(({ color, values, dots }) => {
    const path = `<path d="M${values.map((v, m) => `${x(m + 1)} ${y(v)}`).join("L")}" fill="none" stroke="${color}" stroke-width="2"/>`;
    return path + dots.map((v, m) => `<circle cx="${x(m + 1)}" cy="${y(v)}" r="3.5" fill="none" stroke="${color}"/>`).join("");
  });
  return [
    shade,
    ...grid,
    ...numbers,
    `<path d="M${from} ${size.top}V${size.height - size.bottom}H${to}" stroke="${ink}" fill="none"/>`,
    ...curves,
    text(from, size.top - 10, title, 'font-weight="600"'),
    text((from + to) / 2, size.height - 8, "block", 'text-anchor="middle"'),
  ].join("\n");
}

/** Panels beside each other with one legend. */
export function chart(title: string, quantized: number, panels: readonly Panel[]): string {
  const [width, height] = [panels.length * size.width, size.height];
  const legend = panels[0].lines.map(
    ({ label, color }, i) =>
      `<path d="M${size.left + 150 * i} 16h24" stroke="${color}" stroke-width="2"/>${text(size.left + 30 + 150 * i, 20, label)}`,
  );
  const at = size.left + 150 * panels[0].lines.length;
  const key = `<circle cx="${at}" cy="16" r="3.5" fill="none" stroke="${ink}"/>${text(at + 10, 20, "the oracle's")}`;
  const ground = `<rect x="${at + 110}" y="9" width="20" height="14" fill="#eaeef2"/>${text(at + 136, 20, "full precision")}`;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" ${font} role="img">
<title>${title}</title>
<rect width="${width}" height="${height}" rx="6" fill="#ffffff"/>
${[...legend, key, ground].join("\n")}
${panels.map((p, i) => panel(p, quantized, i * size.width)).join("\n")}
</svg>
`;
}
