/** Faults of a running network, injected by a schedule that follows from the seed. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Network } from "../../scripts/localnet/lib/network.ts";
import { apiService, mlService, redisService } from "../../scripts/localnet/lib/services.ts";
import { Random } from "../simulation/random.ts";

export const FAULTS = ["ml-killed", "ml-frozen", "api-killed", "redis-restarted", "chain-stopped"] as const;
export type FaultKind = (typeof FAULTS)[number];

export interface PlannedFault {
  readonly kind: FaultKind;
  /** The participant whose process it is; the first one is the client's endpoint and is never hit. */
  readonly participant: number;
  /** Injected when so many requests were answered. */
  readonly afterRequests: number;
}

export interface InjectedFault extends PlannedFault {
  readonly fromMs: number;
  /** When everything ran again; Infinity while it does not. */
  untilMs: number;
}

/** Each kind equally often, in an order and with targets of the seed, spread over the middle of the run. */
export function planFaults(seed: string, requests: number, count: number, participants: number): PlannedFault[] {
  const random = new Random(`faults ${seed}`);
  const kinds: FaultKind[] = [];
  while (kinds.length < count) {
    const round = [...FAULTS];
    while (round.length > 0) kinds.push(round.splice(random.int(round.length), 1)[0]!);
  }
  return kinds.slice(0, count).map((kind, i) => ({
    kind,
    participant: random.between(1, participants - 1),
    afterRequests: Math.floor(((i + 0.5) * requests) / count),
  }));
}

export interface InjectorOptions {
  readonly network: Network;
  readonly planned: readonly PlannedFault[];
  readonly chainStopMs: number;
  readonly report: (line: string) => void;
  /** Resolves while a participant is in the middle of an answer; what it resolves to reads the answer to its end. */
  readonly interrupt: (participant: number) => Promise<() => Promise<void>>;
}

/** Injects one fault after the other, each repaired before the next, as the run makes progress. */
export class FaultInjector {
  readonly injected: InjectedFault[] = [];
  readonly #options: InjectorOptions;
  readonly #network: Network;
  readonly #planned: PlannedFault[];
  readonly #interrupted: Promise<void>[] = [];

  constructor(options: InjectorOptions) {
    this.#options = options;
    this.#network = options.network;
    this.#planned = [...options.planned];
  }

  /** Until all are through; `progress` tells how many requests were answered. */
  async run(progress: () => number, signal: AbortSignal): Promise<void> {
    for (let fault = this.#planned.shift(); fault && !signal.aborted; fault = this.#planned.shift()) {
      while (progress() < fault.afterRequests && !signal.aborted) await sleep(50);
      if (signal.aborted) return;
      const injected: InjectedFault = { ...fault, fromMs: performance.now(), untilMs: Number.POSITIVE_INFINITY };
      this.injected.push(injected);
      this.#options.report(`${fault.kind} (participant ${fault.participant}) after ${progress()} requests`);
      await this.#inject(fault);
      injected.untilMs = performance.now();
    }
    await Promise.all(this.#interrupted);
  }

  async #inject({ kind, participant }: PlannedFault): Promise<void> {
    const { dir, plan } = this.#network;
    const target = plan.participants[participant]!;
    switch (kind) {
      case "ml-killed":
        await this.#inMidStream(participant, `ml-${participant}`, "SIGKILL");
        await sleep(2_000);
        return await this.#network.run(mlService(dir, this.#network.plan, target));
      case "ml-frozen":
        await this.#inMidStream(participant, `ml-${participant}`, "SIGSTOP");
        try {
          await sleep(6_000);
        } finally {
          this.#signal(`ml-${participant}`, "SIGCONT");
        }
        return;
      case "api-killed":
        await this.#inMidStream(participant, `api-${participant}`, "SIGKILL");
        await sleep(2_000);
        return await this.#network.run(apiService(dir, plan, target));
      case "redis-restarted": {
        const redis = redisService(dir, plan);
        if (!redis) return;
        await this.#network.end("redis");
        await sleep(2_000);
        return await this.#network.run(redis);
      }
      case "chain-stopped":
        await this.#network.end("chain-0");
        await sleep(this.#options.chainStopMs);
        for (const chain of this.#network.chains()) await this.#network.run(chain);
    }
  }

  /** What it was writing goes on with another, at once or while it is away. */
  async #inMidStream(participant: number, name: string, signal: NodeJS.Signals): Promise<void> {
    const rest = await this.#options.interrupt(participant);
    this.#signal(name, signal);
    this.#interrupted.push(rest());
  }

  #signal(name: string, signal: NodeJS.Signals): void {
    const ref = this.#network.processes.find((process) => process.name === name && process.alive);
    if (ref) process.kill(ref.pid, signal);
  }
}
