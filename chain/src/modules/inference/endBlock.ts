/** What the end of a block does. Each loop has a budget; what is left over goes on in the next block, in order. */
import { moduleAddress } from "@karat/common";
import type { Context } from "../../app/module.ts";
import { emitSettled } from "./events.ts";
import type { InferenceDeps, Payment } from "./expects.ts";
import { deliveredAt, miss, putEnded, readRef } from "./keeper.ts";
import { deadlines, expiring, payable, records, STORE, startedWith } from "./keys.ts";
import { settle } from "./transition.ts";

/** Most inferences that one block misses, pays or forgets, each. */
export const BLOCK_BUDGET = 4_000;

/**
 * What was finished is not paid before so many blocks: the transfer agent says that it delivered once it has seen the
 * finish, and without its word it has no share.
 */
export const DELIVERY_BLOCKS = 10n;

const REWARD_ACCOUNT = moduleAddress("reward");

type Agenda = typeof deadlines;

export function endBlock(deps: InferenceDeps, ctx: Context, budget = BLOCK_BUDGET): void {
  for (const [, ref] of due(ctx, deadlines, ctx.height, budget)) miss(deps, ctx, readRef(ctx, ref)!, "deadline");
  const store = ctx.store(STORE);
  for (const [deadline] of [...startedWith.entries(store, { before: ctx.height + 1n, limit: budget })]) {
    startedWith.delete(store, deadline);
  }
  settleDue(deps, ctx, budget);
  forgetDue(ctx, budget);
}

/**
 * Pays what was finished in an epoch that is over and decided without objection. What goes from or to the same account
 * goes at once: a block pays hundreds of inferences of few clients and operators.
 */
function settleDue(deps: InferenceDeps, ctx: Context, budget: number): void {
  const current = deps.epochs.current(ctx);
  if (current.number === 0n) return;
  const spent = new Map<string, bigint>();
  const payments: Payment[] = [];
  const delivered = ctx.height - DELIVERY_BLOCKS;
  const last = delivered < current.startHeight ? delivered : current.startHeight - 1n;
  for (const [, ref] of due(ctx, payable, last, budget)) {
    const finished = readRef(ctx, ref)!;
    const { client, executor, cost: amount } = finished;
    if (amount > 0n) {
      const transferAgent = deliveredAt(ctx, finished) > 0n ? finished.transferAgent : undefined;
      spent.set(client, (spent.get(client) ?? 0n) + amount);
      payments.push({ executor, transferAgent, amount });
    }
    const settled = settle(finished, ctx.height);
    putEnded(deps, ctx, settled);
    emitSettled(ctx, settled);
  }
  for (const [client, amount] of spent) deps.deposits.spend(ctx, client, amount, REWARD_ACCOUNT);
  // Only the epoch before the present one is over and not settled: later decisions join its pool, too.
  if (payments.length > 0) deps.rewards.distribute(ctx, current.number - 1n, payments);
}

function forgetDue(ctx: Context, budget: number): void {
  const store = ctx.store(STORE);
  for (const [height, ref] of due(ctx, expiring, ctx.height, budget)) {
    expiring.delete(store, [height, ref]);
    records.delete(store, ref);
  }
}

/** The first entries up to a height, earliest first. */
function due(ctx: Context, agenda: Agenda, height: bigint, limit: number): (readonly [bigint, bigint])[] {
  if (height < 0n) return [];
  return Array.from(agenda.entries(ctx.store(STORE), { before: [height + 1n, 0n], limit }), ([key]) => key);
}
