import type { params } from "@karat/proto";
import type { Context } from "../../app/module.ts";
import type { Candidate, CandidateFilter, InferenceDeps } from "./expects.ts";

/** What the start records of one message read alike. */
export interface BatchReads {
  readonly params: params.Params;
  /** Number of the running epoch. */
  readonly epoch: bigint;
  hasModel(id: string): boolean;
  isParticipant(operator: string): boolean;
  nodeKey(operator: string): Uint8Array | undefined;
  beacon(height: bigint): Uint8Array | undefined;
  candidates(filter: CandidateFilter): readonly Candidate[];
}

/** Reads each thing once for the whole message: no start record changes any of it. */
export function batchReads(deps: InferenceDeps, ctx: Context): BatchReads {
  const model = once((id: string) => deps.params.model(ctx, id));
  const participant = once((operator: string) => deps.participants.byOperator(ctx, operator));
  const candidates = new Map<string, readonly Candidate[]>();
  return {
    params: deps.params.get(ctx),
    epoch: deps.epochs.current(ctx).number,
    hasModel: (id) => model(id) !== undefined,
    isParticipant: (operator) => participant(operator) !== undefined,
    nodeKey: (operator) => participant(operator)?.nodeKey,
    beacon: once((height: bigint) => deps.epochs.beacon(ctx, height)),
    candidates(filter) {
      const key = `${filter.anchorHeight} ${filter.maxInputPrice} ${filter.maxOutputPrice} ${filter.model}`;
      let found = candidates.get(key);
      if (found === undefined) {
        found = deps.epochs.candidates(ctx, filter);
        candidates.set(key, found);
      }
      return found;
    },
  };
}

/** `read`, asked at most once for each key. A batch is small, and so is what it leaves here. */
function once<K, T>(read: (key: K) => T): (key: K) => T {
  const known = new Map<K, T>();
  return (key) => {
    if (!known.has(key)) known.set(key, read(key));
    return known.get(key)!;
  };
}
