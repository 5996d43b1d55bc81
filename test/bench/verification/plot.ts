/** Cost of a check against the size of the model. SVG, both axes logarithmic. */
import type { Cost } from "./cost.ts";

const WIDTH = 640;
const HEIGHT = 340;
const LEFT = 70;
const TOP = 40;
const PLOT = { width: 420, height: 240 };
const SERIES = [
  ["generate", "generate, ms CPU a token", "#1b6ca8"],
  ["check", "check (score and judge), ms CPU a token", "#2e7d32"],
  ["ratio", "check / generate", "#c0392b"],
] as const;

export function costPlot(costs: readonly Cost[]): string {
  // One file a size: quantised ones are not on the curve of the f16 files.
  const points = costs
    .filter(({ model }) => !/q\d_0/.test(model))
    .map((cost) => ({ x: cost.megabytes, generate: cost.generate, check: cost.score + cost.judge, ratio: cost.ratio }))
    .sort((a, b) => a.x - b.x);
  const all = points.flatMap(({ generate, check, ratio }) => [generate, check, ratio]);
  const x = axis(
    points.map((point) => point.x),
    LEFT,
    PLOT.width,
  );
  const y = axis(all, TOP + PLOT.height, -PLOT.height);
  const grid = y.decades.map(
    (value) =>
      `<line x1="${LEFT}" x2="${LEFT + PLOT.width}" y1="${y.at(value)}" y2="${y.at(value)}" stroke="#ddd"/><text x="${LEFT - 8}" y="${y.at(value) + 4}" text-anchor="end">${value}</text>`,
  );
  const ticks = x.decades.map(
    (value) => `<text x="${x.at(value)}" y="${TOP + PLOT.height + 18}" text-anchor="middle">${value}</text>`,
  );
  const curves = SERIES.map(([key, label, colour], i) => {
    const line = points.map((point) => `${x.at(point.x).toFixed(1)},${y.at(point[key]).toFixed(1)}`).join(" ");
    return `<polyline fill="none" stroke="${colour}" stroke-width="2" points="${line}"/><text x="${LEFT + 10}" y="${TOP + 14 + 16 * i}" fill="${colour}">${label}</text>`;
  });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${HEIGHT}" font-family="sans-serif" font-size="12">`,
    `<rect width="${WIDTH}" height="${HEIGHT}" fill="#fff"/>`,
    `<text x="${LEFT}" y="22" font-size="14">What a check costs</text>`,
    ...grid,
    ...ticks,
    ...curves,
    `<text x="${LEFT}" y="${HEIGHT - 12}">size of the f16 file in megabytes</text>`,
    "</svg>",
    "",
  ].join("\n");
}

/** Logarithmic, from the decade below the least to the decade above the largest. */
function axis(numbers: readonly number[], start: number, length: number) {
  const low = Math.floor(Math.log10(Math.min(...numbers)));
  const high = Math.ceil(Math.log10(Math.max(...numbers)));
  return {
    at: (value: number): number => start + (length * (Math.log10(value) - low)) / Math.max(1, high - low),
    decades: Array.from({ length: high - low + 1 }, (_, i) => Number((10 ** (low + i)).toPrecision(1))),
  };
}
