/**
 * A picture of a check: above, the margin of each token against the gate; below, the spread of the recorded values against σ. Of an embedding, the
 * distance of each vector against the largest honest one.
 */
import type { Verification } from "./verify.ts";

const WIDTH = 900;
const PANEL = 180;
const LEFT = 60;
const TOP = 50;
const GAP = 50;

/** SVG of the panels; logarithmic, from a hundredth of the unit upwards. */
export function plotOf({
  inferenceId,
  verdict,
  reason,
  tokens,
  positions,
  distances,
  statistics,
}: Verification): string {
  const gate = statistics.gate ?? 0;
  const sigma = statistics.sigma ?? 0;
  const margins = panel(
    "margin, nats (0 is left out)",
    TOP,
    gate,
    "gate",
    positions.map(({ margin }) => (margin > 0 ? margin : undefined)),
  );
  const spreads = panel(
    "spread, nats",
    TOP + PANEL + GAP,
    sigma,
    "σ",
    positions.map(({ spread }) => spread ?? undefined),
  );
  const apart = distances.length === 0 ? [] : panel("distance", TOP, statistics.honestPeak ?? 0, "largest", distances);
  const height = TOP + 2 * PANEL + GAP + 30;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" font-family="sans-serif" font-size="12">`,
    `<rect width="${WIDTH}" height="${height}" fill="#fff"/>`,
    `<text x="${LEFT}" y="22" font-size="14">${inferenceId.slice(0, 16)}…  ${verdict} (${reason}), ${tokens} tokens</text>`,
    ...margins,
    ...spreads,
    ...apart,
    "</svg>",
    "",
  ].join("\n");
}

function panel(
  title: string,
  top: number,
  unit: number,
  unitName: string,
  values: readonly (number | undefined)[],
): string[] {
  if (unit <= 0) return [];
  const least = unit / 100;
  const most = Math.max(10 * unit, ...values.map((value) => value ?? 0));
  const yOf = (value: number): number =>
    top + PANEL - (PANEL * Math.log(Math.max(value, least) / least)) / Math.log(most / least);
  const step = (WIDTH - LEFT - 20) / Math.max(1, values.length);
  const limit = yOf(unit).toFixed(1);
  const right = WIDTH - 20;
  return [
    `<text x="${LEFT}" y="${top - 8}">${title}</text>`,
    `<rect x="${LEFT}" y="${top}" width="${right - LEFT}" height="${PANEL}" fill="none" stroke="#999"/>`,
    `<line x1="${LEFT}" x2="${right}" y1="${limit}" y2="${limit}" stroke="#c00" stroke-dasharray="4 3"/>`,
    `<text x="${LEFT - 8}" y="${limit}" text-anchor="end" fill="#c00">${unitName}</text>`,
    `<text x="${LEFT - 8}" y="${top + 10}" text-anchor="end">${most.toPrecision(2)}</text>`,
    `<text x="${LEFT - 8}" y="${top + PANEL}" text-anchor="end">${least.toPrecision(2)}</text>`,
    ...values.flatMap((value, i) => {
      if (value === undefined) return [];
      const colour = value > unit && unitName !== "σ" ? "#c00" : "#246";
      const x = (LEFT + (i + 0.5) * step).toFixed(1);
      return [`<circle cx="${x}" cy="${yOf(value).toFixed(1)}" r="2.5" fill="${colour}"/>`];
    }),
  ];
}
