/** What the end of a block does. Each loop has a budget; what is left over goes on in the next block, in order. */
import { moduleAddress } from "@karat/common";
import type { Context } from "../../app/module.ts";
import { emitSettled } from "./events.ts";
import type { InferenceDeps, Payment } from "./expects.ts";
import { miss, putEnded, read } from "./keeper.ts";
import { deadlines, expiring, payable, records, STORE } from "./keys.ts";
import { settle } from "./transition.ts";

/** Most inferences that one block misses, pays or forgets, each. */
export const BLOCK_BUDGET = 500;

const REWARD_ACCOUNT = moduleAddress("reward");

type Agenda = typeof deadlines;

export function endBlock(deps: InferenceDeps, ctx: Context): void {
  for (const id of due(ctx, deadlines, ctx.height)) miss(deps, ctx, read(ctx, id)!, "deadline");
  settleDue(deps, ctx);
  forgetDue(ctx);
}

/**
 * Pays what was finished in an epoch that is over and decided without objection. What goes from or to the same account
 * goes at once: a block pays hundreds of inferences of few clients and operators.
 */
function settleDue(deps: InferenceDeps, ctx: Context): void {
  const current = deps.epochs.current(ctx);
  if (current.number === 0n) return;
  const spent = new Map<string, bigint>();
  const payments: Payment[] = [];
  for (const id of due(ctx, payable, current.startHeight - 1n)) {
    const finished = read(ctx, id)!;
    const { client, executor, cost: amount } = finished;
    if (amount > 0n) {
      const transferAgent = finished.deliveryHeight > 0n ? finished.transferAgent : undefined;
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

function forgetDue(ctx: Context): void {
  const store = ctx.store(STORE);
  for (const [height, id] of dueKeys(ctx, expiring, ctx.height)) {
    expiring.delete(store, [height, id]);
    records.delete(store, id);
  }
}

const due = (ctx: Context, agenda: Agenda, height: bigint): Uint8Array[] =>
  dueKeys(ctx, agenda, height).map(([, id]) => id);

/** The first entries up to a height, earliest first, at most the budget. */
function dueKeys(ctx: Context, agenda: Agenda, height: bigint): (readonly [bigint, Uint8Array])[] {
  const keys: (readonly [bigint, Uint8Array])[] = [];
  for (const [key] of agenda.entries(ctx.store(STORE), { limit: BLOCK_BUDGET })) {
    if (key[0] > height) break;
    keys.push(key);
  }
  return keys;
}
