/** Detection against the number of tokens, one curve for each attack: the suite's in a full line, the peer's metric dashed. SVG. */
import type { Outcome } from "./report.ts";

const COLOURS = ["#1b6ca8", "#c0392b", "#2e7d32", "#8e44ad", "#d68910", "#444"];
const WIDTH = 720;
const HEIGHT = 360;
const LEFT = 60;
const TOP = 40;
const PLOT = { width: 400, height: 260 };

export function detectionPlot(title: string, outcomes: readonly Outcome[]): string {
  const byName = Map.groupBy(
    outcomes.filter(({ tokens }) => tokens !== undefined),
    ({ name }) => name,
  );
  const lengths = [...new Set(outcomes.flatMap(({ tokens }) => tokens ?? []))].sort((a, b) => a - b);
  const x = (tokens: number): number => LEFT + (PLOT.width * lengths.indexOf(tokens)) / Math.max(1, lengths.length - 1);
  const y = (rate: number): number => TOP + PLOT.height * (1 - rate);
  const line = (points: readonly [number, number][], colour: string, dash: string): string =>
    `<polyline fill="none" stroke="${colour}" stroke-width="2"${dash} points="${points.map(([a, b]) => `${x(a).toFixed(1)},${y(b).toFixed(1)}`).join(" ")}"/>`;
  const curves = [...byName].flatMap(([name, own], i) => {
    const colour = COLOURS[i % COLOURS.length] ?? "#000";
    const sorted = own.toSorted((a, b) => (a.tokens ?? 0) - (b.tokens ?? 0));
    const of = (hits: (outcome: Outcome) => number | undefined): [number, number][] =>
      sorted.flatMap((o) => {
        const found = hits(o);
        return found === undefined ? [] : [[o.tokens ?? 0, found / o.runs] as [number, number]];
      });
    const peers2026 = of(({ peer2026 }) => peer2026);
    const at = TOP + 10 + 20 * i;
    return [
      line(
        of(({ atOnePercent }) => atOnePercent),
        colour,
        "",
      ),
      line(
        of(({ peer }) => peer),
        colour,
        ' stroke-dasharray="5 4"',
      ),
      // Not computed for every row.
      ...(peers2026.length > 0 ? [line(peers2026, colour, ' stroke-dasharray="1 3"')] : []),
      `<line x1="480" x2="505" y1="${at}" y2="${at}" stroke="${colour}" stroke-width="2"/>`,
      `<text x="512" y="${at + 4}">${name}</text>`,
    ];
  });
  const grid = [0, 0.25, 0.5, 0.75, 1].flatMap((rate) => [
    `<line x1="${LEFT}" x2="${LEFT + PLOT.width}" y1="${y(rate)}" y2="${y(rate)}" stroke="#ddd"/>`,
    `<text x="${LEFT - 8}" y="${y(rate) + 4}" text-anchor="end">${rate * 100} %</text>`,
  ]);
  const ticks = lengths.map((n) => `<text x="${x(n)}" y="${TOP + PLOT.height + 18}" text-anchor="middle">${n}</text>`);
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${HEIGHT}" font-family="sans-serif" font-size="12">`,
    `<rect width="${WIDTH}" height="${HEIGHT}" fill="#fff"/>`,
    `<text x="${LEFT}" y="22" font-size="14">${title}</text>`,
    ...grid,
    ...ticks,
    ...curves,
    `<text x="${LEFT}" y="${HEIGHT - 12}">tokens of the output; full: D and G of one check, dashed: the peer's metric, dotted: its rule of October 2026, all at 1 % false positives</text>`,
    "</svg>",
    "",
  ].join("\n");
}
