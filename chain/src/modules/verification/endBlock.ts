/** What the end of a block does. Each loop has a budget; what is left over goes on in the next block, in order. */
import { type inference, verification } from "@karat/proto";
import type { DrawTable } from "@karat/rules";
import type { Context } from "../../app/module.ts";
import { drawCommittee, isChecked, isLookedAtAgain, validatorOrder, validatorTable } from "./draw.ts";
import type { VerificationDeps } from "./expects.ts";
import { conclude, isMoot, missLateDuties, putConvened, putOpen, read } from "./keeper.ts";
import { agenda, checks, expiring, STORE } from "./keys.ts";
import { takePooled } from "./pool.ts";
import {
  aloneDecides,
  assign,
  convene,
  dueOf,
  isAwaited,
  lookAgain,
  MAX_REDRAWS,
  newDuty,
  outcomeOf,
  redraw,
  tally,
} from "./transition.ts";

/** Most checks that one block looks at, draws or forgets, each. */
export const BLOCK_BUDGET = 4_000;
const CERTAIN = 1_000_000;

type Agenda = typeof agenda;

export function endBlock(deps: VerificationDeps, ctx: Context): void {
  for (const [due, id] of dueKeys(ctx, agenda)) {
    agenda.delete(ctx.store(STORE), [due, id]);
    advance(deps, ctx, read(ctx, id)!, due);
  }
  drawFinished(deps, ctx);
  for (const [height, id] of dueKeys(ctx, expiring)) {
    expiring.delete(ctx.store(STORE), [height, id]);
    checks.delete(ctx.store(STORE), id);
  }
}

/** The next step of an open check whose time has come. */
function advance(deps: VerificationDeps, ctx: Context, check: verification.Check, due: bigint): void {
  if (isMoot(deps, ctx, check.inferenceId)) {
    conclude(deps, ctx, check, "close");
  } else if (check.status === verification.CheckStatus.PENDING) {
    redrawOrGiveUp(deps, ctx, check);
  } else if (check.status === verification.CheckStatus.ANSWERED) {
    lookAgainOrDecide(deps, ctx, check, due);
  } else if (check.duties.some((duty) => duty.committee)) {
    const heard = missLateDuties(deps, ctx, check);
    // Those who have committed still have until their deadline to answer.
    const waits = ctx.height < dueOf(heard) && isAwaited(heard);
    if (waits) putOpen(deps, ctx, heard);
    else conclude(deps, ctx, heard, outcomeOf(heard, deps.params.get(ctx).committeeQuorum));
  } else {
    conveneOrDecide(deps, ctx, check, due);
  }
}

function redrawOrGiveUp(deps: VerificationDeps, ctx: Context, before: verification.Check): void {
  const check = missLateDuties(deps, ctx, before);
  const next = check.redraws < MAX_REDRAWS ? nextInOrder(deps, ctx, check) : undefined;
  if (next === undefined) {
    conclude(deps, ctx, check, "giveUp");
    return;
  }
  const duty = newDuty(check.inferenceId, next, false, ctx.height, deps.params.get(ctx));
  putOpen(deps, ctx, redraw(check, duty), [duty]);
}

/** Of the order that the first draw gave, among those who are members now, the first that was not asked yet. */
function nextInOrder(deps: VerificationDeps, ctx: Context, check: verification.Check): string | undefined {
  const finished = deps.inferences.get(ctx, check.inferenceId)!;
  const asked = new Set(check.duties.map((duty) => duty.validator));
  const order = validatorOrder(deps, ctx, validatorTable(deps, ctx), finished, check.drawnHeight);
  return order.find((operator) => !asked.has(operator));
}

/** A verdict without objection of the block before: the beacon that its validator could not know says whether others look too. */
function lookAgainOrDecide(deps: VerificationDeps, ctx: Context, check: verification.Check, due: bigint): void {
  const finished = deps.inferences.get(ctx, check.inferenceId)!;
  const params = deps.params.get(ctx);
  const again = isLookedAtAgain(deps, ctx, finished, due, params.secondLookMicros);
  const members = again ? drawCommittee(deps, ctx, finished, check, due) : [];
  if (members.length === 0) {
    conclude(deps, ctx, check, aloneDecides(check));
    return;
  }
  const duties = members.map((member) => newDuty(check.inferenceId, member, true, ctx.height, params));
  putConvened(deps, ctx, lookAgain(check, duties), duties);
}

/** An objection of the block before: a committee decides, or without one what the quorum says of a single answer. */
function conveneOrDecide(deps: VerificationDeps, ctx: Context, check: verification.Check, due: bigint): void {
  const finished = deps.inferences.get(ctx, check.inferenceId)!;
  const params = deps.params.get(ctx);
  const members = drawCommittee(deps, ctx, finished, check, due);
  if (members.length === 0) {
    conclude(deps, ctx, check, tally(check, params.committeeQuorum));
    return;
  }
  const duties = members.map((member) => newDuty(check.inferenceId, member, true, ctx.height, params));
  putConvened(deps, ctx, convene(check, duties), duties);
}

/** The finishes of earlier blocks: the beacon that was unknown to them decides whether each is checked, and by whom. */
function drawFinished(deps: VerificationDeps, ctx: Context): void {
  const finished = deps.inferences.takeFinished(ctx, ctx.height, BLOCK_BUDGET);
  if (finished.length === 0) return;
  const rates = countFinished(deps, ctx, finished);
  const table = validatorTable(deps, ctx);
  for (const each of finished) drawOne(deps, ctx, table, each, rates.get(each)!);
}

/**
 * Counts the finishes of each pair and gives the rate of each. The first of a pair's has a rate of its own, since an epoch's first is
 * always checked; the rest together have that of the last of them, so that it is computed once and nobody gains by finishing many at once.
 */
function countFinished(
  deps: VerificationDeps,
  ctx: Context,
  finished: readonly inference.Inference[],
): ReadonlyMap<inference.Inference, number> {
  const rateOf = deps.reputation.checkingRates(ctx);
  const rates = new Map<inference.Inference, number>();
  const count = (together: readonly inference.Inference[]): void => {
    const { executor, model } = together[0]!;
    const number = BigInt(together.length);
    const rate = rateOf(executor, model, number);
    for (const each of together) rates.set(each, rate);
    deps.reputation.finished(ctx, executor, model, number);
  };
  for (const ofExecutor of Map.groupBy(finished, ({ executor }) => executor).values()) {
    for (const pair of Map.groupBy(ofExecutor, ({ model }) => model).values()) {
      count(pair.slice(0, 1));
      if (pair.length > 1) count(pair.slice(1));
    }
  }
  return rates;
}

function drawOne(
  deps: VerificationDeps,
  ctx: Context,
  table: DrawTable,
  finished: inference.Inference,
  rate: number,
): void {
  const { id: inferenceId, executor, model } = finished;
  const drawnHeight = finished.finishHeight + 1n;
  const rateMicros = deps.inferences.isDisputed(finished) ? CERTAIN : rate;
  const checked = isChecked(deps, ctx, finished, drawnHeight, rateMicros);
  const validator = checked ? validatorOrder(deps, ctx, table, finished, drawnHeight, 1)[0] : undefined;
  if (validator === undefined) {
    deps.inferences.accept(ctx, inferenceId);
    return;
  }
  const pooled = takePooled(deps, ctx, finished);
  const duty = newDuty(inferenceId, validator, false, ctx.height, deps.params.get(ctx));
  putOpen(deps, ctx, assign({ inferenceId, executor, model, rateMicros, drawnHeight, pooled }, duty), [duty]);
}

/** The first entries up to the present height, earliest first, at most the budget. */
function dueKeys(ctx: Context, table: Agenda): (readonly [bigint, Uint8Array])[] {
  const range = { before: [ctx.height + 1n, new Uint8Array()] as const, limit: BLOCK_BUDGET };
  return Array.from(table.entries(ctx.store(STORE), range), ([key]) => key);
}
