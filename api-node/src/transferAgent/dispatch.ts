import { KaratError, type Logger, sha256 } from "@karat/common";
import type { sign } from "@karat/proto";
import type { Candidate } from "../chain/candidates.ts";
import type { Executor, ReceiptLine, SkippedAttempt, TokenLine } from "../executor/protocol.ts";
import { partCost, type VerifiedAnswer, verifyAnswer } from "./answer.ts";
import { type FirstLine, isPassed, type Passed } from "./attempt.ts";
import { Contest, cancelled, type Winner } from "./contest.ts";
import type { HedgeBudget } from "./hedging.ts";
import type { Order } from "./orders.ts";
import { Pace } from "./pace.ts";
import type { ReceiptTimeouts } from "./receiptTimeouts.ts";
import { encodedStart } from "./records.ts";
import { type Seam, seamOf } from "./seam.ts";

/** Executors that give one answer between them, at most. */
const MAX_PARTS = 4;

export interface DispatchModules {
  /** The executor of a participant: this process's own, or the one behind a peer's URL. */
  readonly executorOf: (candidate: Candidate) => Executor;
  /** This node's signature over a digest: over the id of a part, it is its word that another is to go on. */
  readonly signPart: (digest: Uint8Array) => Uint8Array;
  readonly timeouts: ReceiptTimeouts;
  readonly hedges: HedgeBudget;
  readonly log: Logger;
  /** Longest silence after a receipt. */
  readonly idleMs: number;
  readonly maxAttempts: number;
  /** Silence within an answer that is never taken for a stall. */
  readonly leastStallMs: number;
  readonly onSkip?: (executor: string, reason: string) => void;
  readonly onHedge?: (slowExecutor: string) => void;
  readonly onBreak?: (executor: string, reason: string) => void;
}

/** An executor whose first token is here. */
export interface Begun {
  readonly type: "begun";
  /** Names its part of the answer in every record. */
  readonly inferenceId: Uint8Array;
  readonly candidate: Candidate;
  readonly attempt: number;
  readonly skips: readonly SkippedAttempt[];
  readonly receipt: ReceiptLine;
  readonly promise: sign.Receipt;
  /** Behind these tokens of another; undefined: it begins the answer. */
  readonly prefix: readonly number[] | undefined;
  /** Others were asked, too: one that was called off may have given its promise. */
  readonly contested: boolean;
  /** Text of the answer before its own, in characters. */
  readonly behindText: number;
}

/** It stopped in the middle, and another goes on, or nobody does. */
export interface Broken {
  readonly type: "broken";
  readonly part: Begun;
  /** What the client has of it. */
  readonly text: string;
}

/** The last part, verified, and what all parts are together. */
export interface Answered extends VerifiedAnswer {
  readonly type: "answer";
  readonly part: Begun;
  readonly partText: string;
  readonly whole: WholeText;
}

export interface WholeText {
  readonly text: string;
  /** Of the prompt alone. */
  readonly promptTokens: number;
  readonly completionTokens: number;
  /** ukarat: of the last part, and of the others as far as they were delivered. */
  readonly cost: bigint;
  /** Everyone who had a part in it, in order. */
  readonly parts: readonly Begun[];
}

/** Those that came together. */
export interface Tokens {
  readonly type: "tokens";
  readonly tokens: readonly TokenLine[];
}

export type DispatchEvent = Begun | Tokens | Broken | Answered;

/**
 * Has one of the drawn executors answer and passes its tokens on. When it stops, or falls silent, in the middle, the next one goes on
 * behind the tokens that the client has, with the same seed. Throws `no_executor` when all were asked in vain, and `executor_failed` when
 * nobody goes on, or the answer does not verify.
 */
export async function* dispatch(
  modules: DispatchModules,
  chainId: string,
  order: Order,
  signal: AbortSignal,
): AsyncGenerator<DispatchEvent> {
  const contest = new Contest(modules, chainId, order, signal);
  modules.hedges.earn();
  const told: Told = { tokens: [], text: "", cost: 0n, parts: [] };
  let seam: Seam | undefined;
  try {
    for (;;) {
      const winner = await contest.winner();
      const broken = told.parts.at(-1);
      if (!winner) throw broken ? failed(modules, broken, "nobody_goes_on") : contest.refusal();
      const { turn, candidate, attempt, receipt, promise } = winner;
      const { inferenceId } = turn;
      const skips = contest.skipsBefore(attempt);
      const part: Begun = {
        type: "begun",
        inferenceId,
        candidate,
        attempt,
        skips,
        receipt,
        promise,
        prefix: seam?.prefix,
        contested: contest.asked > 1,
        behindText: told.text.length - (seam?.repeated?.text.length ?? 0),
      };
      told.parts.push(part);
      try {
        const first = await turn.first();
        if (signal.aborted) throw cancelled();
        const begun =
          isPassed(first) || order.dimensions === undefined ? first : inOnePiece(chainId, order, winner, part, first);
        if (isPassed(begun)) {
          told.parts.pop();
          contest.pass(winner, begun);
          continue;
        }
        yield part;
        if (begun.type === "answer") {
          yield begun;
          return;
        }
        const reason = yield* relay(
          modules,
          chainId,
          order,
          { contest, winner, part, first: begun, told, seam },
          signal,
        );
        if (reason === undefined) return;
        if (told.tokens.length === 0 || told.parts.length === MAX_PARTS) throw failed(modules, part, reason);
        modules.onBreak?.(candidate.member.operator, reason);
        modules.log.warn({ executor: candidate.member.operator, reason }, "An answer broke off; another goes on.");
        const next = seamOf(order, told.tokens);
        const begin = { prefixTokens: seam?.prefix.length ?? 0, held: told.cost };
        told.cost += partCost({ ...winner, order, begin }, next.prefix.length - begin.prefixTokens);
        seam = next;
        const orderStart = signedStart(modules, order, told.parts[0]!);
        contest.goOn(winner, `broke:${reason}`.slice(0, 64), { prefix: seam.prefix, orderStart });
      } finally {
        turn.close();
      }
    }
  } finally {
    contest.close();
  }
}

/** An embedding is its end alone: one that does not verify is passed over, as an executor that died before it. */
function inOnePiece(
  chainId: string,
  order: Order,
  { turn, candidate, promise }: Winner,
  part: Begun,
  end: FirstLine,
): Answered | Passed {
  if (end.type !== "end") return turn.refuse("out_of_order");
  const { inferenceId } = part;
  const begin = { prefixTokens: 0, held: 0n };
  const received = { chainId, order, inferenceId, begin, candidate, own: turn.own, promise, text: "", tokens: [], end };
  const answer = verifyAnswer(received);
  if (!answer) return turn.refuse("unverified");
  const { completionTokens } = answer.response;
  const whole = { text: "", promptTokens: promise.promptTokens, completionTokens, cost: answer.cost, parts: [part] };
  return { type: "answer", part, partText: "", ...answer, whole };
}

/** What the client has so far. */
interface Told {
  readonly tokens: TokenLine[];
  text: string;
  /** Of the parts that broke off, up to where others went on; ukarat. */
  cost: bigint;
  readonly parts: Begun[];
}

interface Relayed {
  readonly contest: Contest;
  readonly winner: Winner;
  readonly part: Begun;
  readonly first: FirstLine;
  readonly told: Told;
  readonly seam: Seam | undefined;
}

/** Passes one executor's tokens on; the result says why it broke off, undefined when the answer is complete. */
async function* relay(
  modules: DispatchModules,
  chainId: string,
  order: Order,
  { contest, winner, part, first, told, seam }: Relayed,
  signal: AbortSignal,
): AsyncGenerator<DispatchEvent, string | undefined> {
  const { turn, candidate, promise } = winner;
  const pace = new Pace({ leastMs: modules.leastStallMs, mostMs: modules.idleMs });
  const tokens: TokenLine[] = [];
  const prefixTokens = seam?.prefix.length ?? 0;
  let text = "";
  let askedMs = performance.now();
  const broke = (reason: string): { event: Broken; reason: string } => ({
    event: { type: "broken", part, text },
    reason,
  });
  // Without anybody to go on, a pause is only a pause.
  const next = (): ReturnType<typeof turn.next> =>
    turn.next(contest.othersThan(part.attempt) ? pace.stallMs() : modules.idleMs);
  let end: { event: Broken; reason: string } | undefined;
  /** What the client is to be given next. */
  let fresh: TokenLine[] = [];
  for (let line: Awaited<ReturnType<typeof turn.next>> = first; ; line = await next()) {
    if (signal.aborted) throw cancelled();
    if (fresh.length > 0 && (typeof line === "string" || line.type !== "token")) {
      yield { type: "tokens", tokens: fresh };
      fresh = [];
    }
    if (line === "timeout" || line === "ended") {
      end = broke(line === "timeout" ? "silent" : "died");
      break;
    }
    if (line.type === "token") {
      const nowMs = performance.now();
      pace.token(nowMs - askedMs);
      askedMs = nowMs;
      tokens.push(line);
      text += line.text;
      if (prefixTokens + tokens.length > order.authorization.message.maxOutputTokens) {
        throw failed(modules, part, "too_long");
      }
      if (tokens.length === 1 && seam?.repeated) {
        const { id, text: known } = seam.repeated;
        if (line.id !== id || line.text !== known) throw failed(modules, part, "diverged");
        continue; // the client has it
      }
      told.tokens.push(line);
      told.text += line.text;
      fresh.push(line);
      if (turn.hasNext) continue;
      yield { type: "tokens", tokens: fresh };
      fresh = [];
    } else if (line.type === "end" && line.finish_reason !== "cancelled") {
      const { inferenceId } = part;
      const { own } = turn;
      const begin = { prefixTokens, held: told.cost };
      const received = { chainId, order, inferenceId, begin, candidate, own, promise, text, tokens, end: line };
      const answer = verifyAnswer(received);
      if (!answer) throw failed(modules, part, "unverified");
      const whole = {
        text: told.text,
        promptTokens: promise.promptTokens - prefixTokens,
        completionTokens: told.tokens.length,
        cost: told.cost + answer.cost,
        parts: told.parts,
      };
      yield { type: "answer", part, partText: text, ...answer, whole };
      return undefined;
    } else {
      // Its ML node was stopped: what it gave is not the whole answer.
      end = broke(line.type === "error" ? line.error.code : line.type === "end" ? "stopped" : "out_of_order");
      break;
    }
  }
  yield end.event;
  return end.reason;
}

/** The start of an order for others to record. This node has signed no receipt to itself: now it does. */
function signedStart({ signPart }: DispatchModules, order: Order, begun: Begun): Uint8Array {
  const { receipt } = begun;
  const signature = receipt.signature.length > 0 ? receipt.signature : signPart(sha256(receipt.receipt));
  return encodedStart(order, { ...begun, receipt: { ...receipt, signature } });
}

function failed({ log }: DispatchModules, { candidate }: Begun, reason: string): KaratError {
  const executor = candidate.member.operator;
  log.warn({ executor, reason }, "An executor failed within its answer.");
  return new KaratError("executor_failed", "The executor failed within its answer. You are not charged.", {
    executor,
    reason,
  });
}
