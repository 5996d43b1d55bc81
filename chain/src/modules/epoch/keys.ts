import { epoch } from "@karat/proto";
import { bytes, Item, protoCodec, Table, u64 } from "../../store/collections.ts";

export const STORE = "epoch";

/** By number. */
export const epochs = new Table<bigint, epoch.Epoch>(0x01, u64, protoCodec(epoch.Epoch));
/** Number of the running epoch. */
export const currentNumber = new Item<bigint>(0x02, u64);
/** By height. */
export const beacons = new Table<bigint, Uint8Array>(0x03, u64, bytes);
/** Height of the newest beacon. */
export const newestBeacon = new Item<bigint>(0x04, u64);
/** Consensus power in force by ed25519 key. */
export const validators = new Table<Uint8Array, bigint>(0x05, bytes, u64);
