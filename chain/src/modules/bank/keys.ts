import { bytes, Item, Table, u64 } from "../../store/collections.ts";

export const STORE = "bank";

/** ukarat by the 20 bytes of the address; accounts without money have no entry. */
export const balances = new Table(0x01, bytes, u64);
/** Sum of all balances. */
export const supply = new Item(0x02, u64);
