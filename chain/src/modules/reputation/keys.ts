/** The store of the module: what lies under which key. */
import { reputation } from "@karat/proto";
import { pair, protoCodec, Table, text } from "../../store/collections.ts";

export const STORE = "reputation";

/** Operator address → Standing. */
export const standings = new Table(1, text, protoCodec(reputation.Standing));
/** (operator address, model) → Reputation. */
export const reputations = new Table(2, pair(text, text), protoCodec(reputation.Reputation));

/** What the keys of all models of one operator begin with. */
export const ofOperator = (operator: string): string => `${text.toKey(operator)}\0`;
