/**
 * What an inference costs the state beside more and more live records: `node test/bench/chain/growth.ts [--live 10000,100000,1000000]
 * [--trees 1000000] [--block 200] [--svg docs/state-growth.svg]`. State only (stateTraffic.ts), the store of inferences as a journal
 * and, up to `--trees` records, as an IAVL+ tree, in turns. CPU time, the least of the rounds: on a busy machine only the ratios count.
 */
import { writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { StateTraffic } from "./stateTraffic.ts";

const { values } = parseArgs({
  options: {
    live: { type: "string", default: "10000,100000,1000000" },
    trees: { type: "string", default: "1000000" },
    block: { type: "string", default: "200" },
    svg: { type: "string" },
  },
});
const sizes = values.live.split(",").map(Number);
const [perBlock, largestTree] = [Number(values.block), Number(values.trees)];
if (![...sizes, perBlock, largestTree].every((n) => Number.isSafeInteger(n) && n >= 0)) {
  throw new RangeError("all numbers are whole");
}
const RETAIN = 4;
/** Blocks until as many inferences end as begin. */
const WARM_UP = 12;
const ROUNDS = 5;
const BLOCKS_PER_ROUND = 6;

interface Point {
  readonly live: number;
  readonly journal: boolean;
  /** µs of CPU per inference. */
  readonly cost: number;
}

function measure(live: number, journal: boolean): Point {
  const traffic = new StateTraffic({ perBlock, retain: RETAIN, recordBytes: 200, journal });
  traffic.preload(live);
  let at = 0;
  while (at < WARM_UP) traffic.block(at++);
  const rounds = Array.from({ length: ROUNDS }, () => {
    const before = process.cpuUsage();
    for (let i = 0; i < BLOCKS_PER_ROUND; i++) traffic.block(at++);
    const { user, system } = process.cpuUsage(before);
    return (user + system) / (BLOCKS_PER_ROUND * perBlock);
  });
  traffic.close();
  return { live, journal, cost: Math.min(...rounds) };
}

const points: Point[] = [];
// What the first run compiles and loads is not the state's cost.
measure(1_000, true);
measure(1_000, false);
for (const live of sizes) {
  for (const journal of [true, false]) {
    if (!journal && live > largestTree) continue;
    const point = measure(live, journal);
    points.push(point);
    const kind = journal ? "journal" : "tree";
    process.stdout.write(
      `${String(live).padStart(8)} live  ${kind.padEnd(7)}  ${point.cost.toFixed(0)} µs per inference\n`,
    );
  }
}
if (values.svg !== undefined) writeFileSync(values.svg, plot(points));

function plot(all: readonly Point[]): string {
  const [width, height, left, top] = [560, 320, 60, 40];
  const [plotWidth, plotHeight] = [360, 220];
  const most = Math.max(...all.map(({ cost }) => cost)) * 1.1;
  const least = Math.log10(Math.min(...sizes));
  const span = Math.max(1e-9, Math.log10(Math.max(...sizes)) - least);
  const x = (live: number): number => left + (plotWidth * (Math.log10(live) - least)) / span;
  const y = (cost: number): number => top + plotHeight * (1 - cost / most);
  const curve = (journal: boolean, colour: string, row: number, name: string): string[] => {
    const own = all.filter((point) => point.journal === journal);
    const spots = own.map(({ live, cost }) => `${x(live).toFixed(1)},${y(cost).toFixed(1)}`);
    const at = top + 10 + 20 * row;
    return [
      `<polyline fill="none" stroke="${colour}" stroke-width="2" points="${spots.join(" ")}"/>`,
      ...spots.map((spot) => `<circle cx="${spot.split(",")[0]}" cy="${spot.split(",")[1]}" r="3" fill="${colour}"/>`),
      `<line x1="440" x2="465" y1="${at}" y2="${at}" stroke="${colour}" stroke-width="2"/>`,
      `<text x="472" y="${at + 4}">${name}</text>`,
    ];
  };
  const lines = [0, 0.25, 0.5, 0.75, 1].map((part) => part * most);
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" font-family="sans-serif" font-size="12">`,
    `<rect width="${width}" height="${height}" fill="#fff"/>`,
    `<text x="${left}" y="22" font-size="14">State cost of an inference beside live records</text>`,
    ...lines.flatMap((cost) => [
      `<line x1="${left}" x2="${left + plotWidth}" y1="${y(cost).toFixed(1)}" y2="${y(cost).toFixed(1)}" stroke="#ddd"/>`,
      `<text x="${left - 8}" y="${(y(cost) + 4).toFixed(1)}" text-anchor="end">${cost.toFixed(0)} µs</text>`,
    ]),
    ...sizes.map(
      (n) =>
        `<text x="${x(n).toFixed(1)}" y="${top + plotHeight + 18}" text-anchor="middle">${n.toLocaleString("en")}</text>`,
    ),
    ...curve(true, "#1b6ca8", 0, "journal"),
    ...curve(false, "#c0392b", 1, "IAVL+ tree"),
    `<text x="${left}" y="${height - 12}">live records; ten writes for each inference, ${perBlock} inferences in a block, LMDB, CPU</text>`,
    "</svg>",
    "",
  ].join("\n");
}
