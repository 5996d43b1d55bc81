import { type Deposit, Proposal, Vote } from "cosmjs-types/cosmos/gov/v1/gov";
import { type Codec, cosmosCodec, Item, nothing, pair, Table, text, u64 } from "../../store/collections.ts";

export const STORE = "gov";

export type { Deposit };

/** By id. */
export const proposals = new Table<bigint, Proposal>(0x01, u64, cosmosCodec(Proposal) as Codec<Proposal>);
export const nextId = new Item<bigint>(0x02, u64);
/** ukarat by proposal and depositor, until the proposal is decided. */
export const deposits = new Table<readonly [bigint, string], bigint>(0x03, pair(u64, text), u64);
/** By proposal and voter, until the proposal is decided. */
export const votes = new Table<readonly [bigint, string], Vote>(
  0x04,
  pair(u64, text),
  cosmosCodec(Vote) as Codec<Vote>,
);
/** Open proposals by the height at which their period ends. */
export const ending = new Table<readonly [bigint, bigint], true>(0x05, pair(u64, u64), nothing);
/** Proposal → height at which its period ends; open ones only. */
export const endOf = new Table<bigint, bigint>(0x06, u64, u64);
