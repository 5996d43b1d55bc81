import { setTimeout as sleep } from "node:timers/promises";
import { KaratError } from "@karat/common";
import type { Candidate } from "../chain/candidates.ts";
import type { ErrorObject, SkippedAttempt } from "../executor/protocol.ts";
import { Attempt, type Behind, isPassed, type Passed, type Promised } from "./attempt.ts";
import type { DispatchModules } from "./dispatch.ts";
import type { Order } from "./orders.ts";

/** Executors asked for one request at the same time. */
const MOST_AT_ONCE = 2;
/** How often busy executors are asked again to go on with an answer, and the wait before; longer each time. */
const BUSY_ROUNDS = 5;
const BUSY_PAUSE_MS = 200;
/** Refusals that are about the request: believed when two executors say the same. */
const REQUEST_FAULTS: ReadonlySet<string> = new Set(["context_length_exceeded", "invalid_request", "invalid_prompt"]);

/** The executor whose receipt came first. */
export interface Winner extends Promised {
  readonly turn: Attempt;
  readonly candidate: Candidate;
  readonly attempt: number;
}

/** An executor that was asked and has not given its receipt yet. */
interface Entrant {
  readonly turn: Attempt;
  readonly candidate: Candidate;
  readonly attempt: number;
  readonly askedMs: number;
  /** When another may be asked beside it; Infinity when that is settled. */
  hedgeAtMs: number;
  /** It took longer than it usually does. */
  overdue: boolean;
  readonly outcome: Promise<{ entrant: Entrant; outcome: Promised | Passed }>;
}

/**
 * Who gets to answer one order: executors in the drawn order, the next one at once when the one before is busy, silent or gone, and
 * beside it when its receipt takes longer than 19 of 20 of its earlier ones did. The first receipt wins; the others are called off, and
 * without a start record the chain holds nothing against them.
 */
export class Contest {
  readonly #modules: DispatchModules;
  readonly #chainId: string;
  readonly #order: Order;
  readonly #signal: AbortSignal;
  readonly #places: readonly Candidate[];
  readonly #running = new Map<number, Entrant>();
  readonly #skips = new Map<number, SkippedAttempt>();
  readonly #faults = new Map<string, { error: ErrorObject; count: number }>();
  /** Places that are still to be asked, in order. */
  #queue: number[];
  #asked = 0;
  /** Set when an answer broke off. */
  #behind: Behind | undefined;
  /** Places that were busy since then: they may have room a moment later. */
  #busy: number[] = [];
  #rounds = 0;
  /** Places whose executor broke off. */
  readonly #broken = new Set<number>();

  constructor(modules: DispatchModules, chainId: string, order: Order, signal: AbortSignal) {
    this.#modules = modules;
    this.#chainId = chainId;
    this.#order = order;
    this.#signal = signal;
    this.#places = order.drawn.slice(0, modules.maxAttempts);
    this.#queue = [...this.#places.keys()];
  }

  /** The next receipt that comes; undefined when nobody is left to ask. Throws `cancelled` when the client has gone. */
  async winner(): Promise<Winner | undefined> {
    for (;;) {
      if (this.#signal.aborted) throw cancelled();
      // With nobody running, and when all who run are overdue, it is the next one's turn.
      if (this.#running.size < MOST_AT_ONCE && this.#entrants().every(({ overdue }) => overdue)) this.#ask();
      if (this.#running.size === 0) {
        if (!(await this.#askBusyAgain())) return undefined;
        continue;
      }
      const event = await this.#event();
      if (!event) continue;
      const { entrant, outcome } = event;
      this.#running.delete(entrant.attempt);
      if (isPassed(outcome)) {
        if (outcome.timedOut) this.#modules.timeouts.timedOut(entrant.candidate.member.operator);
        this.pass(entrant, outcome);
        continue;
      }
      if (this.#signal.aborted) {
        entrant.turn.close();
        throw cancelled();
      }
      const { turn, candidate, attempt } = entrant;
      this.#modules.timeouts.answered(candidate.member.operator, performance.now() - entrant.askedMs);
      this.#callOffOthers(attempt);
      return { ...outcome, turn, candidate, attempt };
    }
  }

  /** The winner broke off: others go on behind the tokens that the client has, those behind it in the order first. */
  goOn({ turn, candidate, attempt }: Winner, reason: string, behind: Behind): void {
    this.#broken.add(attempt);
    this.#behind = behind;
    this.#busy = [];
    this.#rounds = 0;
    const places = [...this.#places.keys()].filter((place) => !this.#broken.has(place));
    this.#queue = [...places.filter((place) => place > attempt), ...places.filter((place) => place < attempt)];
    this.pass({ turn, candidate }, { skip: { attempt, reason }, timedOut: false });
  }

  /** Whether there is anybody to go on when the executor at this place breaks off. */
  othersThan(attempt: number): boolean {
    return [...this.#places.keys()].some((place) => place !== attempt && !this.#broken.has(place));
  }

  /** Executors that were asked so far. */
  get asked(): number {
    return this.#asked;
  }

  /** The places before one, and why each was passed over. */
  skipsBefore(attempt: number): SkippedAttempt[] {
    return Array.from({ length: attempt }, (_, place) => this.#skips.get(place) ?? { attempt: place, reason: "slow" });
  }

  /** Takes an executor off the list. */
  pass({ turn, candidate }: Pick<Entrant, "turn" | "candidate">, { skip, fault }: Passed): void {
    turn.close();
    this.#skip(candidate, skip);
    if (skip.reason === "busy") this.#busy.push(skip.attempt);
    if (!fault || !REQUEST_FAULTS.has(fault.code)) return;
    const count = (this.#faults.get(fault.code)?.count ?? 0) + 1;
    this.#faults.set(fault.code, { error: fault, count });
    if (count === 2) this.#queue = [];
  }

  /** Why nobody answers: what two executors say of the request, or the only one; else that there is none. */
  refusal(): KaratError {
    for (const { error, count } of this.#faults.values()) {
      if (count >= 2 || count === this.#skips.size) return new KaratError(error.code, error.message);
    }
    return new KaratError("no_executor", "No executor took the request. Try again in a moment.", {
      attempts: this.#skips.size,
      reasons: [...this.#skips.values()].map(({ reason }) => reason),
      retry_after_s: 2,
    });
  }

  /** Calls off whoever still runs. */
  close(): void {
    for (const { turn } of this.#running.values()) turn.close();
    this.#running.clear();
  }

  /** Asks the next of the order, if there is one. */
  #ask(): void {
    const attempt = this.#queue.shift();
    if (attempt === undefined) return;
    this.#asked++;
    const candidate = this.#places[attempt]!;
    const { executorOf, idleMs, signPart, timeouts } = this.#modules;
    const executor = candidate.member.operator;
    const skips = this.skipsBefore(attempt);
    const options = {
      chainId: this.#chainId,
      order: this.#order,
      candidate,
      attempt,
      skips,
      idleMs,
      behind: this.#behind,
      signPart,
    };
    const turn = new Attempt({ ...options, executor: executorOf(candidate) }, this.#signal);
    const askedMs = performance.now();
    const hedgeAtMs = this.#queue.length > 0 ? askedMs + timeouts.hedgeOf(executor) : Number.POSITIVE_INFINITY;
    // The last one that can go on with an answer is worth a wait: giving it up breaks the client's stream.
    const last = this.#behind !== undefined && this.#queue.length === 0;
    const outcome = turn
      .receipt(last ? timeouts.longest : timeouts.of(executor))
      .then((outcome) => ({ entrant, outcome }));
    const entrant: Entrant = { turn, candidate, attempt, askedMs, hedgeAtMs, overdue: false, outcome };
    this.#running.set(attempt, entrant);
  }

  /** An answer that broke off is worth a wait: a fresh order could not go on with it. */
  async #askBusyAgain(): Promise<boolean> {
    if (this.#behind === undefined || this.#busy.length === 0 || this.#rounds === BUSY_ROUNDS) return false;
    this.#rounds++;
    await sleep(this.#rounds * BUSY_PAUSE_MS, undefined, { signal: this.#signal }).catch(() => undefined);
    this.#queue = this.#busy;
    this.#busy = [];
    return true;
  }

  /** What comes first: an outcome, or the time to ask one more. */
  async #event(): Promise<{ entrant: Entrant; outcome: Promised | Passed } | undefined> {
    const outcomes = this.#entrants().map(({ outcome }) => outcome);
    const waiting = this.#entrants().find(({ hedgeAtMs }) => Number.isFinite(hedgeAtMs));
    if (!waiting || this.#running.size === MOST_AT_ONCE) return await Promise.race(outcomes);
    let timer: NodeJS.Timeout | undefined;
    const due = new Promise<undefined>((resolve) => {
      const inMs = Math.max(0, waiting.hedgeAtMs - performance.now());
      timer = setTimeout(() => setImmediate(resolve, undefined), inMs); // what has come is read first
    });
    const event = await Promise.race([...outcomes, due]);
    clearTimeout(timer);
    if (event) return event;
    waiting.hedgeAtMs = Number.POSITIVE_INFINITY;
    waiting.overdue = this.#modules.hedges.take();
    if (waiting.overdue) this.#modules.onHedge?.(waiting.candidate.member.operator);
    return undefined;
  }

  #callOffOthers(winner: number): void {
    for (const { turn, candidate, attempt, askedMs } of this.#entrants()) {
      this.#running.delete(attempt);
      turn.close();
      this.#modules.timeouts.outrun(candidate.member.operator, performance.now() - askedMs);
      this.#skip(candidate, { attempt, reason: attempt < winner ? "slow" : "hedge_lost" });
    }
  }

  #skip(candidate: Candidate, skip: SkippedAttempt): void {
    const executor = candidate.member.operator;
    this.#skips.set(skip.attempt, skip);
    this.#modules.onSkip?.(executor, skip.reason);
    this.#modules.log.info({ executor, ...skip, busySignature: undefined }, "An executor was passed over.");
  }

  #entrants(): Entrant[] {
    return [...this.#running.values()];
  }
}

export const cancelled = (): KaratError => new KaratError("cancelled", "The client went away.");
