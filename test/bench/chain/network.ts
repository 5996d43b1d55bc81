/**
 * End to end: `node test/bench/chain/network.ts [--block-time-ms 1000] [--idle-blocks 10] [--seconds 60] [--rates 10,50,0] [--lanes 6] [--round 128] [--batch 64]`.
 * Four CometBFT validators on this machine (one of them in this process) commit the records of inferences: signed, broadcast
 * over RPC, gossiped, proposed, executed by all. Rates are inferences offered per second, 0 as many as it takes with `lanes`
 * times `round` in flight. Everything shares this machine's cores: compare the ratios.
 */
import { loadavg } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { type CpuTimes, type LiveBlock, LiveChain } from "./liveChain.ts";
import { Traffic } from "./traffic.ts";

const { values } = parseArgs({
  options: {
    "block-time-ms": { type: "string", default: "1000" },
    "idle-blocks": { type: "string", default: "10" },
    seconds: { type: "string", default: "60" },
    rates: { type: "string", default: "10,50,0" },
    lanes: { type: "string", default: "6" },
    round: { type: "string", default: "128" },
    batch: { type: "string", default: "64" },
  },
});
const count = (text: string, least = 1): number => {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < least) throw new RangeError(`${text} is no whole number from ${least}`);
  return value;
};
const [lanes, round, batch, seconds] = [values.lanes, values.round, values.batch, values.seconds].map((text) =>
  count(text),
) as [number, number, number, number];
const line = (text = "") => void process.stdout.write(`${text}\n`);
const load = () => loadavg()[0]!.toFixed(1);

/** Milliseconds from one block to the next: mean and longest. */
function blockTimes(blocks: readonly LiveBlock[]): { mean: number; longest: number } {
  const gaps = blocks.slice(1).map(({ timeMs }, i) => timeMs - blocks[i]!.timeMs);
  return { mean: gaps.reduce((sum, gap) => sum + gap, 0) / gaps.length, longest: Math.max(...gaps) };
}

/** Rounds of inferences until the time is over; how many were committed. */
async function serve(chain: LiveChain, rate: number, firstNonce: number): Promise<number> {
  const until = Date.now() + seconds * 1_000;
  let done = 0;
  let serving = true;
  // At a given rate each lane begins a smaller round every so often, else the next one as soon as the last is through.
  const size = rate === 0 ? round : Math.max(1, Math.min(round, Math.ceil((rate * 4) / lanes)));
  const pauseMs = rate === 0 ? 0 : (1_000 * size * lanes) / rate;
  const lane = async (index: number) => {
    const traffic = new Traffic(chain, firstNonce + index * 1_000_000);
    for (let next = Date.now(); next < until; next = Math.max(Date.now(), next + pauseMs)) {
      await sleep(Math.max(0, next - Date.now()));
      await traffic.serve(size, batch);
      done += size;
    }
  };
  const judging = (async () => {
    const judge = new Traffic(chain);
    while (serving) {
      await judge.judge(batch);
      await sleep(1_000);
    }
  })();
  await Promise.all(Array.from({ length: lanes }, (_, index) => lane(index)));
  serving = false;
  await judging;
  return done;
}

const since = (before: CpuTimes, after: CpuTimes): CpuTimes => ({
  applications: after.applications - before.applications,
  comet: after.comet - before.comet,
  here: after.here - before.here,
});

const chain = await LiveChain.open(count(values["block-time-ms"]));
try {
  line(`four validators, blocks every ${values["block-time-ms"]} ms and what they take; load ${load()}`);
  const start = chain.blocks.length;
  while (chain.blocks.length < start + count(values["idle-blocks"])) await sleep(200);
  const idle = blockTimes(chain.blocks.slice(start));
  line(`idle             ${idle.mean.toFixed(0)} ms a block (longest ${idle.longest.toFixed(0)}), load ${load()}`);
  for (const [index, text] of values.rates.split(",").entries()) {
    const rate = count(text, 0);
    const [from, cpu, began] = [chain.blocks.length, chain.cpu(), Date.now()];
    const done = await serve(chain, rate, (index + 1) * 1_000_000_000);
    const elapsed = (Date.now() - began) / 1_000;
    const blocks = chain.blocks.slice(from);
    const { mean, longest } = blockTimes(blocks);
    const spent = since(cpu, chain.cpu());
    const bytes = blocks.reduce((sum, block) => sum + block.bytes, 0) / done;
    const execute = blocks.reduce((sum, block) => sum + block.executeMs, 0) / done;
    const each = (secondsSpent: number) => `${((1_000 * secondsSpent) / done).toFixed(2)} ms`;
    line(
      `${(rate === 0 ? "as many as go" : `${rate}/s offered`).padEnd(16)} ${(done / elapsed).toFixed(1)} inferences/s committed, ${bytes.toFixed(0)} bytes each; ` +
        `${mean.toFixed(0)} ms a block, ${(mean / idle.mean).toFixed(2)} of idle (longest ${longest.toFixed(0)}); load ${load()}`,
    );
    line(
      `                 CPU an inference: three applications ${each(spent.applications)}, four CometBFT ${each(spent.comet)}, ` +
        `fourth application and client ${each(spent.here)}; ${execute.toFixed(2)} ms of it in FinalizeBlock here`,
    );
  }
  const hashes = await chain.appHashes(chain.height);
  if (hashes.size !== 1) throw new Error(`the validators disagree: ${[...hashes].join(" ")}`);
  line(`app hashes agree at height ${chain.height}`);
} finally {
  await chain.close();
}
