/** `node test/bench/gateway/main.ts [--portkey <folder>] [--profile <folder>]`: direct, Karat, the least of two hops, and Portkey in one run, interleaved. Prints JSON. */
import { cpus, loadavg } from "node:os";
import { parseArgs } from "node:util";
import { type Load, measure, summarise, type Window } from "./measure.ts";
import { openWays } from "./ways.ts";

const { values } = parseArgs({
  options: {
    portkey: { type: "string" },
    profile: { type: "string" },
    "warm-up": { type: "string", default: "2000" },
    rounds: { type: "string", default: "5" },
    requests: { type: "string", default: "300" },
  },
});
const rounds = Number(values.rounds);
const requests = Number(values.requests);

const loads: Record<string, Load> = {
  "plain, 1 at once": { requests, concurrency: 1, tokens: 16, stream: false },
  "plain, 16 at once": { requests: 2 * requests, concurrency: 16, tokens: 16, stream: false },
  "streamed, 8 tokens, 8 at once": { requests, concurrency: 8, tokens: 8, stream: true },
  "streamed, 64 tokens, 8 at once": { requests: Math.ceil(requests / 3), concurrency: 8, tokens: 64, stream: true },
};
const [few, many] = ["streamed, 8 tokens, 8 at once", "streamed, 64 tokens, 8 at once"] as const;

const { ways, close } = await openWays(values.portkey, values.profile);
try {
  if (!ways.some(({ name }) => name === "portkey")) {
    process.stderr.write("Without Portkey: give --portkey a folder with @portkey-ai/gateway installed.\n");
  }
  const results: Record<string, Record<string, Record<string, number | object>>> = {};
  for (const [name, load] of Object.entries(loads)) {
    const able = ways.filter(({ plainOnly }) => !(load.stream && plainOnly));
    const windows = new Map<string, Window[]>(able.map((way) => [way.name, []]));
    // Caches and just-in-time compilers: the code of all ways is to be warm before anything counts.
    for (const way of able) await measure(way, { ...load, requests: Number(values["warm-up"]) });
    for (let round = 0; round < rounds; round++) {
      for (const way of able) windows.get(way.name)!.push(await measure(way, load));
      process.stderr.write(`${name}: round ${round + 1} of ${rounds}, load average ${loadavg()[0]}\n`);
    }
    results[name] = Object.fromEntries(able.map((way) => [way.name, summarise(way, windows.get(way.name)!, load)]));
  }
  for (const [name, result] of Object.entries(results[many]!)) {
    const cpuOf = (load: string): number => Number(results[load]![name]!.cpuUsPerRequest);
    const tokens = loads[many]!.tokens - loads[few]!.tokens;
    result.cpuUsPerFurtherChunk = Math.round((cpuOf(many) - cpuOf(few)) / tokens);
  }
  const machine = { cpus: cpus().length, model: cpus()[0]?.model, node: process.version };
  process.stdout.write(
    `${JSON.stringify({ date: new Date().toISOString().slice(0, 10), machine, results }, null, 2)}\n`,
  );
} finally {
  await close();
}
