/** The store of the module: what lies under which key. An inference is named by its short id (`refOf`). */
import { sign } from "@karat/proto";
import { BUCKETS, member, pair, protoCodec, Table, u64 } from "../../store/collections.ts";
import { recordCodec } from "./recordCodec.ts";

export const STORE = "inference";

/** Short id → record. */
export const records = new Table(1, u64, recordCodec);

/** Short ids by a height. An entry says that something is to be done about them. */
const agenda = (prefix: number) => new Table(BUCKETS + prefix, pair(u64, u64), member);

/** (deadline, ref) of every STARTED inference. */
export const deadlines = agenda(2);
/** (finish height, ref) of FINISHED inferences for which no duty draw was made yet. */
export const undrawn = agenda(3);
/** (finish height, ref) of FINISHED inferences against which nothing was found: to be paid. */
export const payable = agenda(4);
/** (height, ref) of inferences at an end: forgotten after that height. */
export const expiring = agenda(5);

/**
 * (finish height, ref) of FINISHED inferences that were delivered as their finish says → height of the delivery. Their records are not
 * written for it, but when they end.
 */
export const delivered = new Table(BUCKETS + 8, pair(u64, u64), u64);

/** Deadline to come → how many were started with it. */
export const startedWith = new Table(7, u64, u64);

/** Short id → statement that the executor signed and that was delivered before its finish record. */
export const statements = new Table(6, u64, protoCodec(sign.ResponseReceipt));
