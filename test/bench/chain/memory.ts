/**
 * Memory and disk over many recorded inferences: `node --expose-gc test/bench/chain/memory.ts [--inferences 1000000] [--block 2000]
 * [--retain 50] [--bytes 200]` (Linux). State only (stateTraffic.ts), pruning on, the store of inferences as a journal. Memory has to
 * be flat once the retention and the kept heights are full. Pages of the database that the kernel has mapped count as resident too,
 * though it takes them back when it wants: what the process itself holds is `own`. CPU is that of the whole process.
 */
import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { StateTraffic } from "./stateTraffic.ts";

const { values } = parseArgs({
  options: {
    inferences: { type: "string", default: "1000000" },
    block: { type: "string", default: "2000" },
    retain: { type: "string", default: "50" },
    bytes: { type: "string", default: "200" },
  },
});
const [total, perBlock, retain, recordBytes] = [values.inferences, values.block, values.retain, values.bytes].map(
  Number,
);
if (![total, perBlock, retain, recordBytes].every((n) => Number.isSafeInteger(n) && n! > 0)) {
  throw new RangeError("all numbers are positive and whole");
}
const traffic = new StateTraffic({ perBlock: perBlock!, retain: retain!, recordBytes: recordBytes!, journal: true });
const MiB = (size: number): string => (size / 1024 / 1024).toFixed(0).padStart(8);
const blocks = Math.ceil(total! / perBlock!);
const step = Math.max(1, Math.round(blocks / 20));
/** Bytes of memory that no file backs. */
function ownBytes(): number {
  const kiB = /^RssAnon:\s+(\d+) kB$/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1];
  return Number(kiB ?? Number.NaN) * 1024;
}

process.stdout.write("inferences  heap MiB   own MiB   RSS MiB  file MiB  CPU µs each\n");
let before = process.cpuUsage();
for (let at = 0; at < blocks; at++) {
  traffic.block(at);
  if ((at + 1) % step !== 0) continue;
  const { user, system } = process.cpuUsage(before);
  globalThis.gc?.();
  const { heapUsed, rss } = process.memoryUsage();
  const cost = ((user + system) / (step * perBlock!)).toFixed(0).padStart(11);
  const row = [
    `${(at + 1) * perBlock!}`.padStart(10),
    MiB(heapUsed),
    MiB(ownBytes()),
    MiB(rss),
    MiB(traffic.bytes),
    cost,
  ];
  process.stdout.write(`${row.join("  ")}\n`);
  before = process.cpuUsage();
}
traffic.close();
