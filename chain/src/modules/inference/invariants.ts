import { toHex } from "@karat/common";
import { inference, refOf } from "@karat/proto";
import type { Context } from "../../app/module.ts";
import type { InferenceDeps } from "./expects.ts";
import { deadlines, delivered, expiring, payable, records, STORE, startedWith, statements, undrawn } from "./keys.ts";
import { isTerminal } from "./transition.ts";

const Status = inference.InferenceStatus;

/** Looks at every record: for tests and for operators who ask, not for every block of a large chain. */
export function invariants(deps: InferenceDeps, ctx: Context): string[] {
  const store = ctx.store(STORE);
  const broken: string[] = [];
  const counts = { started: 0, terminal: 0 };
  let locked = 0n;
  for (const [ref, record] of records.entries(store)) {
    const name = toHex(record.id);
    if (refOf(record.id) !== ref) broken.push(`${name}: under a short id that is not its own`);
    locked += record.locked;
    if (record.status === Status.STARTED) {
      counts.started++;
      if (!deadlines.has(store, [record.deadlineHeight, ref])) broken.push(`${name}: started without a deadline`);
    } else if (record.status === Status.FINISHED) {
      if (record.locked !== record.cost) broken.push(`${name}: holds ${record.locked}, costs ${record.cost}`);
      const at = [record.finishHeight, ref] as const;
      if (undrawn.has(store, at) && payable.has(store, at)) broken.push(`${name}: payable before its draw`);
    } else if (isTerminal(record.status)) {
      counts.terminal++;
      if (record.locked !== 0n) broken.push(`${name}: ended and holds ${record.locked}`);
    }
  }
  if (size(ctx, deadlines) !== counts.started) broken.push("deadlines of inferences that are not started");
  if (size(ctx, expiring) !== counts.terminal) broken.push("ended inferences that are never forgotten, or the reverse");
  for (const [deadline] of startedWith.entries(store)) {
    if (deadline < ctx.height) broken.push(`deadline ${deadline}: counted though it is over`);
  }
  for (const agenda of [undrawn, payable]) {
    for (const [[, ref]] of agenda.entries(store)) {
      if (records.get(store, ref)?.status !== Status.FINISHED) broken.push(`${ref}: on an agenda, not finished`);
    }
  }
  for (const [[finishHeight, ref]] of delivered.entries(store)) {
    const record = records.get(store, ref);
    const open = record?.status === Status.FINISHED && record.deliveryHeight === 0n;
    if (!open || record.finishHeight !== finishHeight) broken.push(`${ref}: delivered, and not finished or twice`);
  }
  for (const [ref] of statements.entries(store)) {
    if (records.get(store, ref)?.status !== Status.STARTED) broken.push(`${ref}: a statement waits for no finish`);
  }
  const held = deps.deposits.totalLocked(ctx);
  if (held !== locked) broken.push(`deposits hold ${held}, inferences ${locked}`);
  return broken;
}

/** Ids of records that are finished and on no agenda of this module: another has to decide about them. */
export function awaitingDecision(ctx: Context): Uint8Array[] {
  const store = ctx.store(STORE);
  return [...records.entries(store)]
    .filter(([, { status }]) => status === Status.FINISHED)
    .filter(
      ([ref, { finishHeight }]) => !undrawn.has(store, [finishHeight, ref]) && !payable.has(store, [finishHeight, ref]),
    )
    .map(([, { id }]) => id);
}

function size(ctx: Context, agenda: typeof deadlines): number {
  let n = 0;
  for (const _ of agenda.entries(ctx.store(STORE))) n++;
  return n;
}
