import { params } from "@karat/proto";
import { Item, protoCodec, Table, text, u64 } from "../../store/collections.ts";

export const STORE = "params";

export const paramsItem = new Item<params.Params>(0x01, protoCodec(params.Params));
/** By id. */
export const models = new Table<string, params.Model>(0x02, text, protoCodec(params.Model));
/** Parameters that the next epoch begins with. */
export const pendingItem = new Item<params.Params>(0x03, protoCodec(params.Params));
/** Number → id. */
export const modelsByNumber = new Table<bigint, string>(0x04, u64, text);
