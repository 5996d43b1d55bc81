/** What must hold after a run, and what did not. */
import type { InjectedFault } from "./faults.ts";
import type { Ledger, Life } from "./ledger.ts";
import type { Outcome } from "./load.ts";

export interface Evidence {
  readonly outcomes: readonly Outcome[];
  readonly faults: readonly InjectedFault[];
  readonly ledger: Ledger;
  /** Operator addresses by participant. */
  readonly operators: readonly string[];
  /** Ukarat of the client's deposit at the start, and what it has and has locked now. */
  readonly deposited: bigint;
  readonly left: bigint;
}

export interface Verdict {
  readonly violations: readonly string[];
  /** Answers that another executor went on with. */
  readonly continued: number;
  /** Inferences that were charged although no client got their answer (their executor had finished). */
  readonly chargedUnanswered: number;
  readonly missed: number;
  /** Answers that were paid before their delivery was recorded: the transfer agent has lost its share. */
  readonly undelivered: number;
  /** Answers of which the chain has another of the executors that were asked: two finished together, and one is paid. */
  readonly outrun: number;
}

/** The chain pays ten blocks after a finish; where two faults fall together that may be too soon, but seldom. */
const MOST_UNDELIVERED = 0.02;
/**
 * Called off when its answer was whole, an executor has recorded it, and its transaction may come before the transfer agent's word. The
 * client gets the same tokens for the same money; the executor that gave them is not paid.
 */
const MOST_OUTRUN = 0.01;

export function judge({ outcomes, faults, ledger, operators, deposited, left }: Evidence): Verdict {
  const violations: string[] = [];
  const hit = (executor: string): boolean =>
    faults.some(
      ({ kind, participant }) =>
        (kind === "ml-killed" || kind === "ml-frozen" || kind === "api-killed") && operators[participant] === executor,
    );

  for (const { result, code, streamed } of outcomes) {
    if (result !== "answered") violations.push(`a ${streamed ? "streamed" : "plain"} request ${result} with ${code}`);
  }

  const answered = new Map(outcomes.filter(({ result }) => result === "answered").map((o) => [o.inferenceId!, o]));
  if (answered.size !== outcomes.filter(({ result }) => result === "answered").length) {
    violations.push("two requests were answered under one inference id");
  }
  let continued = 0;
  let undelivered = 0;
  let outrun = 0;
  for (const [id, { executor, parts }] of answered) {
    const life = ledger.lives.get(id);
    if (parts.length > 1) {
      continued++;
      const lives = parts.map((part) => ledger.lives.get(part));
      const right = lives.map((each, i) => (i < lives.length - 1 ? isBegun(each) : isPaid(each)));
      if (right.includes(false)) violations.push(`continued inference ${id} is recorded as ${lives.map(describe)}`);
      continue;
    }
    const whole = life?.starts === 1 && life.finishes === 1 && !life.missed;
    const begun = whole && life.executor === executor;
    if (whole && !begun && life.deliveries === 0 && life.settlements === 1) outrun++;
    else if (begun && life.deliveries === 0 && life.settlements === 1) undelivered++;
    else if (!begun || life.deliveries !== 1)
      violations.push(`inference ${id}, answered by ${executor}, is recorded as ${describe(life)}`);
  }

  if (undelivered > MOST_UNDELIVERED * answered.size) {
    violations.push(`${undelivered} answers were paid before their delivery was recorded`);
  }
  if (outrun > Math.max(2, MOST_OUTRUN * answered.size)) {
    violations.push(`of ${outrun} answers the chain has another executor that was asked`);
  }
  const parts = new Set([...answered.values()].flatMap((outcome) => outcome.parts));
  let chargedUnanswered = 0;
  let missed = 0;
  for (const [id, life] of ledger.lives) {
    if (life.starts > 1 || life.finishes > 1 || life.deliveries > 1 || life.settlements > 1) {
      violations.push(`inference ${id} was recorded twice: ${describe(life)}`);
    }
    if (life.refunds > 0) violations.push(`honest inference ${id} was refunded: ${describe(life)}`);
    if (life.missed) {
      missed++;
      if (!hit(life.executor)) violations.push(`an executor that nothing was done to missed ${id}: ${describe(life)}`);
    } else if (life.finishes > 0 && life.cost > 0n && !answered.has(id) && !parts.has(id)) chargedUnanswered++;
  }
  if (deposited - left !== ledger.spent()) {
    violations.push(`the deposit went down by ${deposited - left}, settled inferences cost ${ledger.spent()}`);
  }
  return { violations, continued, chargedUnanswered, missed, undelivered, outrun };
}

/** Its executor broke off: a miss, or what it gave when it was only silent. */
const isBegun = (life: Life | undefined): boolean =>
  life?.starts === 1 && (life.missed !== undefined || life.finishes === 1);

/** It went on to the end, and was settled. */
const isPaid = (life: Life | undefined): boolean =>
  life?.starts === 1 && life.finishes === 1 && life.deliveries === 1 && life.settlements === 1;

const describe = (life: Life | undefined): string =>
  JSON.stringify(life ?? "nothing", (_key, value) => (typeof value === "bigint" ? value.toString() : value));
