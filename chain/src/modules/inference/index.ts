/** Records of inferences: start, finish, delivery; deadlines, settlement, refund. The spec is README.md. */
import { type inference, refOf } from "@karat/proto";
import type { Context, Module } from "../../app/module.ts";
import { genesisObject } from "../support/genesis.ts";
import { endBlock } from "./endBlock.ts";
import type { InferenceDeps } from "./expects.ts";
import { awaitingDecision, invariants } from "./invariants.ts";
import { invalidate, leaveUndecided, putPayable, read, readRef } from "./keeper.ts";
import { STORE, undrawn } from "./keys.ts";
import { recordsHandler } from "./msgs/records.ts";
import { queries } from "./queries.ts";
import { canStep, isDisputed } from "./transition.ts";

export { type Batch, defineBatch, MAX_RECORDS, type Result } from "./batch.ts";
export { DELIVERY_BLOCKS } from "./endBlock.ts";
export { ERRORS as INFERENCE_ERRORS } from "./errors.ts";
export type { Candidate, CandidateFilter, InferenceDeps, Payment } from "./expects.ts";
export { EDGES as INFERENCE_EDGES } from "./transition.ts";

/** What other modules see of this one. */
export interface InferenceKeeper {
  /** Without a delivery that agrees with the finish. */
  get(ctx: Context, id: Uint8Array): inference.Inference | undefined;
  /** FINISHED before `height` and not drawn yet, oldest first; taken off the list. */
  takeFinished(ctx: Context, height: bigint, limit: number): inference.Inference[];
  /** Transfer agent and executor disagree about the text. */
  isDisputed(inference: inference.Inference): boolean;
  /** Still waits for its duty draw. */
  isUndrawn(ctx: Context, inference: inference.Inference): boolean;
  /** FINISHED, drawn and not to be paid yet. Looks at every record: for the invariant. */
  awaitingDecision(ctx: Context): Uint8Array[];
  /** Nothing found: to be paid. Without effect where the inference has ended meanwhile, as are the two below. */
  accept(ctx: Context, id: Uint8Array): void;
  /** Found false: refunded. True when that happened now. */
  invalidate(ctx: Context, id: Uint8Array): boolean;
  /** Not enough answers: refunded, nobody penalised. */
  leaveUndecided(ctx: Context, id: Uint8Array): void;
}

export function createInferenceModule(deps: InferenceDeps): Module & InferenceKeeper {
  return {
    name: STORE,
    messages: {
      "/karat.inference.v1.MsgRecords": recordsHandler(deps),
    },
    queries,
    initGenesis: (_ctx, state) => void genesisObject(state ?? {}, STORE, []),
    exportGenesis: () => ({}),
    endBlock(ctx) {
      endBlock(deps, ctx);
      return undefined;
    },
    invariants: (ctx) => invariants(deps, ctx),

    get: read,
    isDisputed,
    takeFinished(ctx, height, limit) {
      const store = ctx.store(STORE);
      const taken = [...undrawn.entries(store, { before: [height, 0n], limit })];
      return taken.map(([[finished, ref]]) => {
        undrawn.delete(store, [finished, ref]);
        return readRef(ctx, ref)!;
      });
    },
    isUndrawn: (ctx, { finishHeight, id }) => undrawn.has(ctx.store(STORE), [finishHeight, refOf(id)]),
    awaitingDecision: (ctx) => awaitingDecision(ctx),
    accept: putPayable,
    invalidate(ctx, id) {
      const record = read(ctx, id);
      if (record === undefined || !canStep(record.status, "invalidate")) return false;
      invalidate(deps, ctx, record);
      return true;
    },
    leaveUndecided(ctx, id) {
      const record = read(ctx, id);
      if (record !== undefined && canStep(record.status, "leaveUndecided")) leaveUndecided(deps, ctx, record);
    },
  };
}
