/** Reads and writes the module's records and keeps its agendas in step with them. Holds no rules. */
import { type inference, refOf } from "@karat/proto";
import { ChainError } from "../../app/errors.ts";
import type { Context } from "../../app/module.ts";
import { ERRORS } from "./errors.ts";
import { emitInconclusive, emitInvalid, emitMissed } from "./events.ts";
import type { RecordDeps } from "./expects.ts";
import { deadlines, delivered, expiring, payable, records, STORE, statements, undrawn } from "./keys.ts";
import { inherit } from "./parts.ts";
import { canStep, isTerminal, refund, sameBytes } from "./transition.ts";

type Inference = inference.Inference;

export const readRef = (ctx: Context, ref: bigint): Inference | undefined => records.get(ctx.store(STORE), ref);

export function read(ctx: Context, id: Uint8Array): Inference | undefined {
  const record = readRef(ctx, refOf(id));
  return record !== undefined && sameBytes(record.id, id) ? record : undefined;
}

/** Height at which a record was delivered; 0: it was not. */
export function deliveredAt(ctx: Context, record: Inference): bigint {
  const { deliveryHeight, finishHeight, id } = record;
  if (deliveryHeight > 0n || finishHeight === 0n) return deliveryHeight;
  return delivered.get(ctx.store(STORE), [finishHeight, refOf(id)]) ?? 0n;
}

/** A record with the delivery that agrees with its finish: as it is told to others. */
export function whole(ctx: Context, record: Inference): Inference {
  const height = deliveredAt(ctx, record);
  return height === record.deliveryHeight ? record : withDelivery(record, height);
}

const withDelivery = (record: Inference, height: bigint): Inference => ({
  ...record,
  deliveryHeight: height,
  deliveryComplete: true,
});

/** Throws `unknownInference`. */
export function require(ctx: Context, ref: bigint): Inference {
  const record = readRef(ctx, ref);
  if (record === undefined) throw new ChainError(ERRORS.unknownInference, "not started, or forgotten");
  return record;
}

export function write(ctx: Context, record: Inference): void {
  records.set(ctx.store(STORE), refOf(record.id), record);
}

export function create(ctx: Context, started: Inference): void {
  write(ctx, started);
  deadlines.set(ctx.store(STORE), [started.deadlineHeight, refOf(started.id)], true);
}

/** The transfer agent holds what the finish says. */
export function putDelivered(ctx: Context, finished: Inference): void {
  delivered.set(ctx.store(STORE), [finished.finishHeight, refOf(finished.id)], ctx.height);
}

/** After the edge to FINISHED: waits for its draw. */
export function putFinished(ctx: Context, finished: Inference): void {
  const store = ctx.store(STORE);
  const ref = refOf(finished.id);
  write(ctx, finished);
  deadlines.delete(store, [finished.deadlineHeight, ref]);
  undrawn.set(store, [finished.finishHeight, ref], true);
}

/** After an edge to a terminal status: off every agenda but that of forgetting. */
export function putEnded(deps: RecordDeps, ctx: Context, ended: Inference): void {
  const store = ctx.store(STORE);
  const ref = refOf(ended.id);
  write(ctx, whole(ctx, ended));
  if (ended.finishHeight === 0n) {
    deadlines.delete(store, [ended.deadlineHeight, ref]);
  } else {
    undrawn.delete(store, [ended.finishHeight, ref]);
    payable.delete(store, [ended.finishHeight, ref]);
    delivered.delete(store, [ended.finishHeight, ref]);
  }
  // Only what was delivered before its finish can have left one.
  if (ended.deliveryHeight > 0n && ended.finishHeight === 0n) statements.delete(store, ref);
  // The parameters keep the retention longer than any anchor is accepted: until then the record tells a replay.
  expiring.set(store, [ctx.height + deps.params.get(ctx).retentionBlocks, ref], true);
}

/** The executor did not deliver: refund, and a miss on its record. */
export function miss(deps: RecordDeps, ctx: Context, started: Inference, reason: "deadline" | "error"): void {
  const { inference: missed, unlock: freed } = refund(started, "miss");
  const unlock = freed - bequeath(ctx, missed, freed);
  deps.deposits.unlock(ctx, missed.client, unlock);
  putEnded(deps, ctx, missed);
  deps.reputation.miss(ctx, missed.executor);
  deps.rewards.missed(ctx, missed.executor, missed.epoch);
  emitMissed(ctx, missed, unlock, reason);
}

/** Whoever goes on behind what was missed reads the prompt in its place. Gives the ukarat that stay locked for it. */
function bequeath(ctx: Context, { continued }: Inference, freed: bigint): bigint {
  const heir = continued && readRef(ctx, continued.by);
  if (heir === undefined || isTerminal(heir.status)) return 0n;
  const { inference, taken } = inherit(heir, freed);
  if (taken > 0n) write(ctx, inference);
  return taken;
}

/** Found false: the client gets everything back. What it means for the executor is decided elsewhere. */
export function invalidate(deps: RecordDeps, ctx: Context, finished: Inference): void {
  const { inference: invalid, unlock } = refund(finished, "invalidate");
  deps.deposits.unlock(ctx, invalid.client, unlock);
  putEnded(deps, ctx, invalid);
  emitInvalid(ctx, invalid, unlock);
}

/** Too few answers: the client gets everything back and nobody is penalised. */
export function leaveUndecided(deps: RecordDeps, ctx: Context, finished: Inference): void {
  const { inference: undecided, unlock } = refund(finished, "leaveUndecided");
  deps.deposits.unlock(ctx, undecided.client, unlock);
  putEnded(deps, ctx, undecided);
  emitInconclusive(ctx, undecided, unlock);
}

/** The executor's key has signed two different outputs: no check is needed. */
export function convictOfContradiction(deps: RecordDeps, ctx: Context, finished: Inference): void {
  invalidate(deps, ctx, finished);
  const { executor: operator, model, epoch } = finished;
  deps.reputation.convict(ctx, { operator, model, epoch });
}

/** Nothing was found against it: paid once its epoch is over. */
export function putPayable(ctx: Context, id: Uint8Array): void {
  const record = read(ctx, id);
  if (record === undefined || !canStep(record.status, "settle")) return;
  payable.set(ctx.store(STORE), [record.finishHeight, refOf(id)], true);
}
