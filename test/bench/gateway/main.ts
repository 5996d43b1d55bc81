/** `node test/bench/gateway/main.ts [--portkey <folder>]`: direct, Karat and Portkey in one run, interleaved. Prints JSON. */
import { cpus } from "node:os";
import { parseArgs } from "node:util";
import { cpuSeconds, type Load, measure, summarise, type Window } from "./measure.ts";
import { openWays } from "./ways.ts";

const { values } = parseArgs({
  options: {
    portkey: { type: "string" },
    rounds: { type: "string", default: "5" },
    requests: { type: "string", default: "300" },
  },
});
const rounds = Number(values.rounds);
const requests = Number(values.requests);

const loads: Record<string, Load> = {
  "plain, 1 at once": { requests, concurrency: 1, tokens: 16, stream: false },
  "plain, 16 at once": { requests: 2 * requests, concurrency: 16, tokens: 16, stream: false },
  "streamed, 64 tokens, 8 at once": { requests: Math.ceil(requests / 3), concurrency: 8, tokens: 64, stream: true },
};

const { ways, beside, close } = await openWays(values.portkey);
try {
  if (!ways.some(({ name }) => name === "portkey")) {
    process.stderr.write("Without Portkey: give --portkey a folder with @portkey-ai/gateway installed.\n");
  }
  const results: Record<string, Record<string, object>> = {};
  for (const [name, load] of Object.entries(loads)) {
    const windows = new Map<string, Window[]>(ways.map((way) => [way.name, []]));
    let besideSeconds = 0;
    // The first round warms up caches and just-in-time compilers and does not count.
    for (let round = -1; round < rounds; round++) {
      for (const way of ways) {
        const before = cpuSeconds(beside);
        const window = await measure(way, load);
        if (round < 0) continue;
        windows.get(way.name)!.push(window);
        if (way.name === "karat") besideSeconds += cpuSeconds(beside) - before;
      }
      process.stderr.write(`${name}: round ${round + 1} of ${rounds}\n`);
    }
    results[name] = Object.fromEntries([...windows].map(([way, measured]) => [way, summarise(measured, load)]));
    const cpuUs = Math.round((1e6 * besideSeconds) / (rounds * load.requests));
    results[name]["chain and Redis beside Karat"] = { cpuUsPerRequest: cpuUs };
  }
  const machine = { cpus: cpus().length, model: cpus()[0]?.model, node: process.version };
  process.stdout.write(
    `${JSON.stringify({ date: new Date().toISOString().slice(0, 10), machine, results }, null, 2)}\n`,
  );
} finally {
  await close();
}
