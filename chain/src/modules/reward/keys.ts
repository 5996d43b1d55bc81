import { moduleAddress } from "@karat/common";
import { reward } from "@karat/proto";
import { Item, pair, protoCodec, Table, text, u64 } from "../../store/collections.ts";

export const STORE = "reward";
/** Holds the pools of duty fees and what is settled and unclaimed. */
export const ACCOUNT = moduleAddress("reward");
export const COMMUNITY = moduleAddress("community");

/** By epoch and operator. */
export const rows = new Table<readonly [bigint, string], reward.EpochReward>(
  0x01,
  pair(u64, text),
  protoCodec(reward.EpochReward),
);
/** Validators' fees of an epoch that is not settled. */
export const dutyPools = new Table<bigint, bigint>(0x02, u64, u64);
/** Number of the first epoch that is not settled. */
export const firstOpen = new Item<bigint>(0x03, u64);
/** Emitted since genesis. */
export const minted = new Item<bigint>(0x04, u64);
