import { moduleAddress } from "@karat/common";
import { deposit } from "@karat/proto";
import { Item, protoCodec, Table, text, u64 } from "../../store/collections.ts";

export const STORE = "deposit";
/** Holds all deposits. */
export const ACCOUNT = moduleAddress("deposit");

/** By client. An empty deposit has no row. */
export const deposits = new Table<string, deposit.Deposit>(0x01, text, protoCodec(deposit.Deposit));
/** Sum of `locked` over all clients. */
export const totalLocked = new Item<bigint>(0x02, u64);
