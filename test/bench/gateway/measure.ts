/** Load on one way to the answer, with the time of each request and the CPU time of the processes in between. */
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { Pool } from "undici";
import { requestOf } from "./settings.ts";

/** One way from the client to the answer. */
export interface Way {
  readonly name: string;
  readonly origin: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Processes between client and upstream, whose CPU time counts, by what they are. */
  readonly processes: Readonly<Record<string, number>>;
  /** Those of them that stand beside the gateway: measured, and no part of its sum. */
  readonly beside: readonly string[];
  /** It cannot stream. */
  readonly plainOnly?: boolean;
}

export interface Load {
  readonly requests: number;
  readonly concurrency: number;
  readonly tokens: number;
  readonly stream: boolean;
}

export interface Window {
  readonly timesMs: readonly number[];
  readonly seconds: number;
  readonly cpuSeconds: Readonly<Record<string, number>>;
}

/** What is written behind the answers (records on their way to the chain) belongs to them. */
const TAIL_MS = 1_500;
/** Clock ticks of /proc/<pid>/stat in a second: USER_HZ, 100 on every Linux. */
const TICKS = 100;

let number = 0;

export async function measure(way: Way, load: Load): Promise<Window> {
  const pool = new Pool(way.origin, { connections: load.concurrency });
  const headers = { "content-type": "application/json", ...way.headers };
  const timesMs: number[] = [];
  const before = cpuOf(way.processes);
  const began = performance.now();
  let left = load.requests;
  const client = async (): Promise<void> => {
    while (left-- > 0) {
      const body = JSON.stringify(requestOf(load.tokens, load.stream, number++));
      const from = performance.now();
      const reply = await pool.request({ method: "POST", path: "/v1/chat/completions", headers, body });
      const text = await reply.body.text();
      timesMs.push(performance.now() - from);
      const whole = load.stream
        ? text.endsWith("data: [DONE]\n\n") && !text.includes('"error"')
        : text.includes('"usage"');
      if (reply.statusCode !== 200 || !whole) throw new Error(`${way.name}: ${reply.statusCode} ${text.slice(0, 500)}`);
    }
  };
  try {
    await Promise.all(Array.from({ length: load.concurrency }, client));
    const seconds = (performance.now() - began) / 1_000;
    await sleep(TAIL_MS);
    const after = cpuOf(way.processes);
    const spent = Object.keys(after).map((name): [string, number] => [name, after[name]! - before[name]!]);
    return { timesMs, seconds, cpuSeconds: Object.fromEntries(spent) };
  } finally {
    await pool.close();
  }
}

/** User and system time, of all threads. */
function cpuSeconds(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) / TICKS;
}

const cpuOf = (processes: Way["processes"]): Record<string, number> =>
  Object.fromEntries(Object.entries(processes).map(([name, pid]) => [name, cpuSeconds(pid)]));

/** Of all windows together. */
export function summarise(way: Way, windows: readonly Window[], load: Load): Record<string, number | object> {
  const times = windows.flatMap(({ timesMs }) => timesMs).sort((a, b) => a - b);
  const at = (share: number): number => times[Math.floor(share * (times.length - 1))]!;
  const sum = (of: (window: Window) => number): number => windows.reduce((total, window) => total + of(window), 0);
  const requests = times.length;
  const round = (value: number): number => Math.round(100 * value) / 100;
  const cpuUsOf = (name: string): number => (1e6 * sum(({ cpuSeconds: spent }) => spent[name]!)) / requests;
  const all = Object.keys(way.processes);
  const counted = all.filter((name) => !way.beside.includes(name));
  const cpuUs = counted.reduce((total, name) => total + cpuUsOf(name), 0);
  return {
    requests,
    p50Ms: round(at(0.5)),
    p99Ms: round(at(0.99)),
    requestsPerSecond: round(requests / sum(({ seconds }) => seconds)),
    cpuUsPerRequest: round(cpuUs),
    ...(load.stream ? { cpuUsPerChunk: round(cpuUs / load.tokens) } : {}),
    ...(all.length > 1 ? { byProcess: Object.fromEntries(all.map((name) => [name, round(cpuUsOf(name))])) } : {}),
  };
}
