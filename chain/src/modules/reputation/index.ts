/** What checks have shown about each participant, and what follows from it. The spec is README.md. */
import type { reputation } from "@karat/proto";
import type { Context, Module } from "../../app/module.ts";
import type { ReputationDeps } from "./expects.ts";
import { exportReputation, initReputation } from "./genesis.ts";
import { invariants } from "./invariants.ts";
import {
  convict,
  count,
  countInferences,
  type Failure,
  fail,
  isDistrusted,
  look,
  miss,
  overrule,
  pass,
  readStanding,
} from "./keeper.ts";
import { STORE } from "./keys.ts";
import { queries } from "./queries.ts";
import { checkingRates } from "./rate.ts";

export type { ReputationDeps } from "./expects.ts";
export type { Failure } from "./keeper.ts";

/** What other modules see of this one. Participants are named by their operator address. */
export interface ReputationKeeper {
  /** That of a newcomer where nothing is known. */
  standing(ctx: Context, operator: string): reputation.Standing;
  /** The rate that the next inference of a pair is checked with, in millionths. */
  checkingRateMicros(ctx: Context, operator: string, model: string): number;
  /** The same for many pairs of one block; for the next `count` inferences of a pair together, the rate of the last of them. */
  checkingRates(ctx: Context): (operator: string, model: string, count?: bigint) => number;
  /** More finished inferences of the pair, checked or not. */
  finished(ctx: Context, operator: string, model: string, count?: bigint): void;
  assigned(ctx: Context, operator: string, count: bigint): void;
  miss(ctx: Context, operator: string): void;
  dutyAssigned(ctx: Context, validator: string): void;
  dutyMissed(ctx: Context, validator: string): void;
  /** One of the missed duties had a commitment that no verdict opened. */
  unrevealed(ctx: Context, validator: string): void;
  /** A committee found otherwise than this validator. */
  overruled(ctx: Context, validator: string): void;
  /** A committee's windows were compared with its own, or it did not open one. */
  looked(ctx: Context, validator: string, apart: boolean): void;
  /** Overruled more often than honest error explains: its verdicts are not asked for in this epoch. */
  isDistrusted(ctx: Context, validator: string): boolean;
  /** Checked and clean. */
  pass(ctx: Context, operator: string, model: string, cleanTokens: bigint): void;
  /** Checked without result: counted, and no evidence for anything. */
  abstain(ctx: Context, operator: string): void;
  /** Confirmed false: fine, evidence, and exclusion when it is enough. */
  fail(ctx: Context, failure: Failure): void;
  /** Contradicting statements by the operator's own key: fine and exclusion at once. */
  convict(ctx: Context, failure: Omit<Failure, "accusers">): void;
}

export function createReputationModule(deps: ReputationDeps): Module & ReputationKeeper {
  return {
    name: STORE,
    queries: queries(deps),
    initGenesis: initReputation,
    exportGenesis: exportReputation,
    invariants,

    standing: readStanding,
    checkingRateMicros: (ctx, operator, model) => checkingRates(deps, ctx)(operator, model),
    checkingRates: (ctx) => checkingRates(deps, ctx),
    finished: (ctx, operator, model, count = 1n) => countInferences(deps, ctx, operator, model, count),
    assigned: (ctx, operator, more) => count(ctx, operator, "assigned", more),
    miss: (ctx, operator) => miss(deps, ctx, operator),
    dutyAssigned: (ctx, validator) => count(ctx, validator, "dutiesAssigned"),
    dutyMissed: (ctx, validator) => count(ctx, validator, "dutiesMissed"),
    unrevealed: (ctx, validator) => count(ctx, validator, "unrevealed"),
    overruled: (ctx, validator) => overrule(deps, ctx, validator),
    looked: (ctx, validator, apart) => look(deps, ctx, validator, apart),
    isDistrusted: (ctx, validator) => isDistrusted(deps, ctx, validator),
    pass: (ctx, operator, model, cleanTokens) => pass(deps, ctx, operator, model, cleanTokens),
    abstain: (ctx, operator) => count(ctx, operator, "abstentions"),
    fail: (ctx, failure) => fail(deps, ctx, failure),
    convict: (ctx, failure) => convict(deps, ctx, failure),
  };
}
