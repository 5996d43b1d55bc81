/** The store of the module: what lies under which key. */
import { inference } from "@karat/proto";
import { bytes, nothing, pair, protoCodec, Table, u64 } from "../../store/collections.ts";

export const STORE = "inference";

/** id → record. */
export const records = new Table(1, bytes, protoCodec(inference.Inference));

/** Inferences by a height. An entry says that something is to be done about them. */
const agenda = (prefix: number) => new Table(prefix, pair(u64, bytes), nothing);

/** (deadline, id) of every STARTED inference. */
export const deadlines = agenda(2);
/** (finish height, id) of FINISHED inferences for which no duty draw was made yet. */
export const undrawn = agenda(3);
/** (finish height, id) of FINISHED inferences against which nothing was found: to be paid. */
export const payable = agenda(4);
/** (height, id) of inferences at an end: forgotten after that height. */
export const expiring = agenda(5);

/** id → output hash ‖ artifact root, signed by the executor and delivered before its finish record. */
export const statements = new Table(6, bytes, bytes);
