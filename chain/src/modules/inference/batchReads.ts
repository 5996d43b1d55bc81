import type { params, participant } from "@karat/proto";
import { DrawTable } from "@karat/rules";
import type { Context } from "../../app/module.ts";
import type { Account, Candidate, CandidateFilter, RecordDeps } from "./expects.ts";

/** Whom an order may be given to, ready to be drawn from. */
export interface Drawable {
  readonly candidates: ReadonlyMap<string, Candidate>;
  readonly table: DrawTable;
}

/** What the records of one message read alike. */
export interface BatchReads {
  readonly params: params.Params;
  /** Number of the running epoch. */
  readonly epoch: bigint;
  account(number: bigint): Account | undefined;
  model(number: number): string | undefined;
  /** Operator address. */
  operator(number: number): string | undefined;
  participant(operator: string): participant.Participant | undefined;
  beacon(height: bigint): Uint8Array | undefined;
  drawable(filter: CandidateFilter): Drawable;
}

/** Reads each thing once for the whole message: no start changes any of it but a key that became known. */
export function batchReads(deps: RecordDeps, ctx: Context): BatchReads {
  const participant = once((operator: string) => deps.participants.byOperator(ctx, operator));
  const drawables: { readonly filter: CandidateFilter; readonly drawable: Drawable }[] = [];
  return {
    params: deps.params.get(ctx),
    epoch: deps.epochs.current(ctx).number,
    account: once((number: bigint) => deps.accounts.byNumber(ctx, number)),
    model: once((number: number) => deps.params.modelByNumber(ctx, number)?.id),
    operator: once((number: number) => deps.participants.byNumber(ctx, number)?.operator),
    participant,
    beacon: once((height: bigint) => deps.epochs.beacon(ctx, height)),
    drawable(filter) {
      // Most starts of a message ask for the same.
      const known = drawables.find((each) => sameFilter(each.filter, filter));
      if (known !== undefined) return known.drawable;
      const candidates = deps.epochs.candidates(ctx, filter);
      const drawable: Drawable = {
        candidates: new Map(candidates.map((candidate) => [candidate.id, candidate])),
        table: new DrawTable(candidates),
      };
      drawables.push({ filter, drawable });
      return drawable;
    },
  };
}

const sameFilter = (a: CandidateFilter, b: CandidateFilter): boolean =>
  a.anchorHeight === b.anchorHeight &&
  a.maxInputPrice === b.maxInputPrice &&
  a.maxOutputPrice === b.maxOutputPrice &&
  a.model === b.model;

/** `read`, asked at most once for each key. A batch is small, and so is what it leaves here. */
function once<K, T>(read: (key: K) => T): (key: K) => T {
  const known = new Map<K, T>();
  return (key) => {
    if (!known.has(key)) known.set(key, read(key));
    return known.get(key)!;
  };
}
