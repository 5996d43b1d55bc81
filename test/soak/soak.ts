/** A network under load and faults, and its books afterwards. */
import { setTimeout as sleep } from "node:timers/promises";
import { isKaratError } from "@karat/common";
import { startNetwork, type TestNetwork } from "../e2e/support.ts";
import { FaultInjector, type InjectedFault, planFaults } from "./faults.ts";
import { judge, type Verdict } from "./judge.ts";
import { Ledger } from "./ledger.ts";
import { Load, type Outcome } from "./load.ts";

export interface SoakOptions {
  readonly requests: number;
  readonly concurrency: number;
  /** Most requests begun in a second. */
  readonly perSecond?: number;
  /** How many faults, each kind in turn. */
  readonly faults: number;
  readonly chainStopMs: number;
  readonly blockTimeMs: number;
  readonly seed: string;
  readonly report: (line: string) => void;
}

export interface SoakReport extends Verdict {
  readonly outcomes: readonly Outcome[];
  readonly faults: readonly InjectedFault[];
  readonly seconds: number;
  /** Inferences on chain, answered and not. */
  readonly recorded: number;
}

/** Longest wait for the last records: a start without a finish is over at its deadline, 60 blocks on. */
const SETTLE_MS = 180_000;

export async function soak(options: SoakOptions): Promise<SoakReport> {
  const net = await startNetwork("--block-time-ms", String(options.blockTimeMs));
  try {
    return await soakOn(net, options);
  } finally {
    await net.close();
  }
}

/** On a network that is running, and stays so: whoever started it closes it. */
export async function soakOn(net: TestNetwork, options: SoakOptions): Promise<SoakReport> {
  const { requests, concurrency, faults: count, chainStopMs, seed, report } = options;
  const { network } = net;
  const { client, participants, model } = network.plan;
  const deposited = await total(net, client);
  const ledger = new Ledger(net.chain);
  const pace = options.perSecond === undefined ? {} : { perSecond: options.perSecond };
  const { endpoint, apiKey } = network;
  const load = new Load({ endpoint, apiKey, model, requests, concurrency, seed, ...pace });
  const planned = planFaults(seed, requests, count, participants.length);
  const interrupt = (participant: number) => load.caughtBy(participants[participant]!.address);
  const injector = new FaultInjector({ network, planned, chainStopMs, report, interrupt });
  const stop = new AbortController();
  const began = performance.now();
  const progress = setInterval(() => report(`${load.outcomes.length} of ${requests} requests`), 30_000);
  const injecting = injector.run(() => load.outcomes.length, stop.signal);
  try {
    await load.run();
    await injecting;
  } finally {
    clearInterval(progress);
    stop.abort();
    await injecting.catch(() => undefined); // its error was thrown above, or the load's comes first
  }
  const seconds = (performance.now() - began) / 1_000;
  const { outcomes } = load;
  const judged = [...outcomes, ...load.caught];
  await untilBooked(ledger, judged);
  const operators = participants.map(({ address }) => address);
  const faults = injector.injected;
  // The deposit of the same block as the events: settlements go on meanwhile.
  let left = 0n;
  for (let steady = false; !steady; ) {
    const before = ledger.spent();
    left = await total(net, client);
    await ledger.catchUp();
    steady = ledger.spent() === before && (await total(net, client)) === left;
  }
  const verdict = judge({ outcomes: judged, faults, ledger, operators, deposited, left });
  return { ...verdict, outcomes, faults, seconds, recorded: ledger.lives.size };
}

async function total({ chain }: TestNetwork, client: string): Promise<bigint> {
  const deposit = await chain.query.deposit(client);
  if (!deposit) throw new Error("the client has no deposit");
  return deposit.available + deposit.locked;
}

/** Until all that was answered is recorded and all that was started is over, or the time is. */
async function untilBooked(ledger: Ledger, outcomes: readonly Outcome[]): Promise<void> {
  const until = Date.now() + SETTLE_MS;
  const answered = outcomes.filter(({ result }) => result === "answered");
  const booked = (): boolean =>
    answered.every(({ inferenceId, parts }) => {
      const life = ledger.lives.get(parts.at(-1) ?? inferenceId!);
      if (life === undefined || life.finishes === 0) return false;
      return parts.length > 0 ? life.settlements > 0 : life.deliveries + life.settlements > 0;
    }) && [...ledger.lives.values()].every((life) => life.finishes > 0 || life.missed !== undefined);
  while (Date.now() < until) {
    try {
      await ledger.catchUp();
    } catch (error) {
      if (!isKaratError(error)) throw error;
    }
    if (booked()) return;
    await sleep(300);
  }
}
