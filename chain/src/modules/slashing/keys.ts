import { slashing } from "@karat/proto";
import { bytes, Item, nothing, pair, protoCodec, Table, u64 } from "../../store/collections.ts";

export const STORE = "slashing";

/** By consensus address: the first 20 bytes of the key's SHA-256. */
export const infos = new Table<Uint8Array, slashing.SigningInfo>(0x01, bytes, protoCodec(slashing.SigningInfo));
/** Consensus address and position in the window: a block that the validator has not signed. */
export const missed = new Table<readonly [Uint8Array, bigint], true>(0x02, pair(bytes, u64, 20), nothing);
/** The consensus set has to be computed anew at the end of this block. */
export const changed = new Item<true>(0x03, nothing);
