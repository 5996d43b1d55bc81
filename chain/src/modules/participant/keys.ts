import { moduleAddress } from "@karat/common";
import { participant } from "@karat/proto";
import { bytes, Item, protoCodec, Table, text, u64 } from "../../store/collections.ts";

export const STORE = "participant";
/** Holds all collateral. */
export const ACCOUNT = moduleAddress("participant");
export const COMMUNITY = moduleAddress("community");

/** By operator. */
export const participants = new Table<string, participant.Participant>(0x01, text, protoCodec(participant.Participant));
/** Node address → operator. */
export const byNode = new Table<string, string>(0x02, text, text);
/** Validator address → operator. */
export const byValidator = new Table<string, string>(0x03, text, text);
/** Consensus key → operator. */
export const byConsensusKey = new Table<Uint8Array, string>(0x04, bytes, text);
/** Operator who left → convictions it returns with. */
export const formerConvictions = new Table<string, bigint>(0x05, text, u64);
/** Entries of `participants`. */
export const count = new Item<bigint>(0x06, u64);
/** Consensus address (first 20 bytes of the key's SHA-256) → operator. */
export const byConsensusAddress = new Table<Uint8Array, string>(0x07, bytes, text);
/** Number of the participant that registers next. */
export const nextNumber = new Item<bigint>(0x08, u64);
/** Number → operator. */
export const byNumber = new Table<bigint, string>(0x09, u64, text);
