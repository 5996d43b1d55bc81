import { KaratError, type Logger } from "@karat/common";
import type { sign } from "@karat/proto";
import type { Candidate } from "../chain/candidates.ts";
import type { Executor, ReceiptLine, SkippedAttempt, TokenLine } from "../executor/protocol.ts";
import { type VerifiedAnswer, verifyAnswer } from "./answer.ts";
import { type Attempt, type FirstLine, isPassed } from "./attempt.ts";
import { Contest, cancelled, type Winner } from "./contest.ts";
import type { HedgeBudget } from "./hedging.ts";
import type { Order } from "./orders.ts";
import type { ReceiptTimeouts } from "./receiptTimeouts.ts";

export interface DispatchModules {
  /** The executor of a participant: this process's own, or the one behind a peer's URL. */
  readonly executorOf: (candidate: Candidate) => Executor;
  readonly timeouts: ReceiptTimeouts;
  readonly hedges: HedgeBudget;
  readonly log: Logger;
  /** Longest silence after a receipt. */
  readonly idleMs: number;
  readonly maxAttempts: number;
  readonly onSkip?: (executor: string, reason: string) => void;
  readonly onHedge?: (slowExecutor: string) => void;
}

/** An executor whose first token is here: from now on there is no other for this inference. */
export interface Begun {
  readonly type: "begun";
  readonly candidate: Candidate;
  readonly attempt: number;
  readonly skips: readonly SkippedAttempt[];
  readonly receipt: ReceiptLine;
  readonly promise: sign.Receipt;
}

export type DispatchEvent = Begun | TokenLine | ({ readonly type: "answer" } & VerifiedAnswer);

/**
 * Has one of the drawn executors answer and passes its tokens on. Throws `no_executor` when all were asked in vain, and `executor_failed`
 * when the one that began stops, falls silent or ends with an answer that does not verify.
 */
export async function* dispatch(
  modules: DispatchModules,
  chainId: string,
  order: Order,
  signal: AbortSignal,
): AsyncGenerator<DispatchEvent> {
  const contest = new Contest(modules, chainId, order, signal);
  modules.hedges.earn();
  try {
    for (;;) {
      const winner = await contest.winner();
      if (!winner) throw contest.refusal();
      const { turn, candidate, attempt, receipt, promise } = winner;
      try {
        const first = await turn.first();
        if (signal.aborted) throw cancelled();
        if (isPassed(first)) {
          contest.pass(winner, first);
          continue;
        }
        yield { type: "begun", candidate, attempt, skips: contest.skipsBefore(attempt), receipt, promise };
        yield* relay(modules, chainId, order, winner, first, signal);
        return;
      } finally {
        turn.close();
      }
    }
  } finally {
    contest.close();
  }
}

async function* relay(
  modules: DispatchModules,
  chainId: string,
  order: Order,
  { turn, candidate, promise }: Winner,
  first: FirstLine,
  signal: AbortSignal,
): AsyncGenerator<DispatchEvent> {
  const executor = candidate.member.operator;
  const failed = (reason: string): KaratError => {
    modules.log.warn({ executor, reason }, "An executor failed within its answer.");
    return new KaratError("executor_failed", "The executor failed within its answer. You are not charged.", {
      executor,
      reason,
    });
  };
  const tokens: TokenLine[] = [];
  let text = "";
  for (let line: Awaited<ReturnType<Attempt["next"]>> = first; ; line = await turn.next()) {
    if (signal.aborted) throw cancelled();
    if (line === "timeout") throw failed("silent");
    if (line === "ended") throw failed("died");
    if (line.type === "token") {
      tokens.push(line);
      text += line.text;
      if (tokens.length > order.authorization.message.maxOutputTokens) throw failed("too_long");
      yield line;
    } else if (line.type === "end") {
      const received = { chainId, order, candidate, promise, text, tokens, end: line };
      const answer = verifyAnswer(received);
      if (!answer) throw failed("unverified");
      yield { type: "answer", ...answer };
      return;
    } else throw failed(line.type === "error" ? line.error.code : "out_of_order");
  }
}
