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
  /** Streams that an injected fault broke behind their first token: no other executor can take those over. */
  readonly brokenByFault: number;
  /** Inferences that were charged although no client got their answer (their executor had finished). */
  readonly chargedUnanswered: number;
  readonly missed: number;
}

/** A fault is felt for a while after the process runs again: connections, caches, the health checks of its neighbours. */
const AFTER_MS = 10_000;

export function judge({ outcomes, faults, ledger, operators, deposited, left }: Evidence): Verdict {
  const violations: string[] = [];
  const hit = (executor: string | undefined, from = 0, until = Number.POSITIVE_INFINITY): boolean =>
    faults.some(
      ({ kind, participant, fromMs, untilMs }) =>
        (kind === "ml-killed" || kind === "ml-frozen" || kind === "api-killed") &&
        operators[participant] === executor &&
        fromMs <= until &&
        untilMs + AFTER_MS >= from,
    );

  let brokenByFault = 0;
  for (const { result, code, executor, fromMs, untilMs, streamed } of outcomes) {
    if (result === "answered") continue;
    if (result === "broken" && hit(executor, fromMs, untilMs)) brokenByFault++;
    else violations.push(`a ${streamed ? "streamed" : "plain"} request ${result} with ${code}`);
  }

  const answered = new Map(outcomes.filter(({ result }) => result === "answered").map((o) => [o.inferenceId!, o]));
  if (answered.size !== outcomes.filter(({ result }) => result === "answered").length) {
    violations.push("two requests were answered under one inference id");
  }
  for (const [id, { executor }] of answered) {
    const life = ledger.lives.get(id);
    const recorded = life?.starts === 1 && life.finishes === 1 && life.deliveries === 1 && life.executor === executor;
    if (!recorded || life.missed) violations.push(`answered inference ${id} is recorded as ${describe(life)}`);
  }

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
    } else if (life.finishes > 0 && life.cost > 0n && !answered.has(id)) chargedUnanswered++;
  }
  if (deposited - left !== ledger.spent()) {
    violations.push(`the deposit went down by ${deposited - left}, settled inferences cost ${ledger.spent()}`);
  }
  return { violations, brokenByFault, chargedUnanswered, missed };
}

const describe = (life: Life | undefined): string =>
  JSON.stringify(life ?? "nothing", (_key, value) => (typeof value === "bigint" ? value.toString() : value));
