/** Honest scores by length with the values from which a check fails. SVG. */
import { conformalP, gateOf, type Profile, type ProfileBucket } from "@karat/rules";

const PANEL = { width: 300, height: 92 };
const LEFT = 70;
const TOP = 58;
const GAP = { x: 40, y: 46 };
const BINS = 60;

/** The least score whose p-value is at most `p`; Infinity where so few runs cannot carry it. */
export function thresholdOf(sorted: readonly number[], p: number, minScale: number): number {
  let low = 0;
  let high = 10 * (sorted.at(-1) ?? 0) + 100 * minScale;
  if (conformalP(sorted, high, minScale) > p) return Number.POSITIVE_INFINITY;
  for (let i = 0; i < 60; i++) {
    const middle = (low + high) / 2;
    if (conformalP(sorted, middle, minScale) <= p) high = middle;
    else low = middle;
  }
  return high;
}

/** One row for each length: distance in σ on the left, the sampling score in gates on the right. */
export function distributionPlot(profile: Profile): string {
  const gate = gateOf(profile.sigmaLogit);
  const { alphaFail, sigmaH } = profile;
  const rows = profile.buckets.flatMap((bucket, row) => [
    panel(bucket, row, 0, bucket.distance, sigmaH, thresholdOf(bucket.distance, alphaFail / 4, sigmaH / 10)),
    // Honest scores above 0 are rare: counted by their logarithm.
    panel(bucket, row, 1, bucket.gumbel, gate, thresholdOf(bucket.gumbel, alphaFail / 2, 4 * gate)),
  ]);
  const width = LEFT + 2 * PANEL.width + GAP.x + 20;
  const height = TOP + profile.buckets.length * (PANEL.height + GAP.y);
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" font-family="sans-serif" font-size="11">`,
    `<rect width="${width}" height="${height}" fill="#fff"/>`,
    `<text x="${LEFT}" y="18" font-size="14">Honest runs of ${profile.model} (bars, logarithmic) and where a check fails (red), α = ${alphaFail}</text>`,
    `<text x="${LEFT}" y="40">distance, in σ = ${sigmaH} nat</text>`,
    `<text x="${LEFT + PANEL.width + GAP.x}" y="40">sampling score, in gates of ${gate.toPrecision(3)} nat</text>`,
    ...rows,
    "</svg>",
    "",
  ].join("\n");
}

function panel(
  bucket: ProfileBucket,
  row: number,
  column: number,
  sorted: readonly number[],
  unit: number,
  threshold: number,
): string {
  const x0 = LEFT + column * (PANEL.width + GAP.x);
  const y0 = TOP + row * (PANEL.height + GAP.y);
  const finite = Number.isFinite(threshold) ? threshold : 0;
  const end = 1.15 * Math.max(finite, sorted.at(-1) ?? 0, unit);
  const counts = new Array<number>(BINS).fill(0);
  for (const score of sorted) counts[Math.min(BINS - 1, Math.floor((score / end) * BINS))]! += 1;
  const tallest = Math.log1p(Math.max(...counts));
  const bars = counts.flatMap((count, i) => {
    if (count === 0) return [];
    const height = (PANEL.height * Math.log1p(count)) / tallest;
    const x = x0 + (i * PANEL.width) / BINS;
    return `<rect x="${x.toFixed(1)}" y="${(y0 + PANEL.height - height).toFixed(1)}" width="${(PANEL.width / BINS - 0.5).toFixed(1)}" height="${height.toFixed(1)}" fill="#1b6ca8"/>`;
  });
  const at = x0 + (PANEL.width * finite) / end;
  const line = Number.isFinite(threshold)
    ? `<line x1="${at.toFixed(1)}" x2="${at.toFixed(1)}" y1="${y0}" y2="${y0 + PANEL.height}" stroke="#c0392b" stroke-width="2"/><text x="${at.toFixed(1)}" y="${y0 + PANEL.height + 14}" text-anchor="middle" fill="#c0392b">${(threshold / unit).toPrecision(3)}</text>`
    : "";
  const label = bucket.to === null ? `${bucket.from}+` : `${bucket.from}–${bucket.to}`;
  const name =
    column === 0 ? `<text x="${LEFT - 8}" y="${y0 + PANEL.height / 2}" text-anchor="end">${label}</text>` : "";
  return [
    name,
    `<line x1="${x0}" x2="${x0 + PANEL.width}" y1="${y0 + PANEL.height}" y2="${y0 + PANEL.height}" stroke="#888"/>`,
    `<text x="${x0}" y="${y0 + PANEL.height + 14}">0</text>`,
    ...bars,
    line,
  ].join("");
}
