/** The store of the module: what lies under which key. */
import { verification } from "@karat/proto";
import { BUCKETS, bytes, member, nothing, pair, protoCodec, Table, text, u64 } from "../../store/collections.ts";

export const STORE = "verification";

/** Inference id → Check. Inferences that the draw passed over have none. */
export const checks = new Table(1, bytes, protoCodec(verification.Check));
/** (height, inference id): the height at whose end an open check has to be looked at. One entry for each. */
export const agenda = new Table(BUCKETS + 2, pair(u64, bytes), member);
/** (operator address, inference id) of duties without a verdict. */
export const openDuties = new Table(3, pair(text, bytes), nothing);
/** (height, inference id): decided checks, forgotten after that height. */
export const expiring = new Table(BUCKETS + 4, pair(u64, bytes), member);

/** (executor, model) → outputs that wait to be judged together. */
export const pools = new Table(5, pair(text, text), protoCodec(verification.Pool));

export const ofValidator = (operator: string): string => `${text.toKey(operator)}\0`;
