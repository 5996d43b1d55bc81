import { inference, type participant } from "@karat/proto";
import { ChainError } from "../../../app/errors.ts";
import type { Context } from "../../../app/module.ts";
import { defineMessage, requireAddress } from "../../support/message.ts";
import { isRefusal } from "../batch.ts";
import { batchReads } from "../batchReads.ts";
import { ERRORS } from "../errors.ts";
import type { InferenceDeps, RecordDeps } from "../expects.ts";
import { recordSignatures } from "../signaturesAhead.ts";
import { StartTotals } from "../startTotals.ts";
import { deliverAsFinished, deliverOtherwise } from "./deliver.ts";
import { finishOne } from "./finish.ts";
import { startOne } from "./start.ts";

/** Most records of one message, of all kinds together. */
export const MAX_ENTRIES = 1_024;

type Records = inference.MsgRecords;

/** Everything that a node has to record: starts, then finishes, then deliveries, in one transaction of its node key. */
export const recordsHandler = (deps: InferenceDeps) =>
  defineMessage<Records>({
    codec: inference.MsgRecords,
    response: {
      typeUrl: "/karat.inference.v1.MsgRecordsResponse",
      encode: (message) => inference.MsgRecordsResponse.encode(message as inference.MsgRecordsResponse),
    },
    signers: (message) => [message.sender],
    checkStateless(message) {
      requireAddress(message.sender, "sender");
      const { starts, finishes, delivered, deliveredInPart, deliveries, terms } = message;
      const count = starts.length + finishes.length + delivered.length + deliveredInPart.length + deliveries.length;
      if (count === 0 || count > MAX_ENTRIES) {
        throw new ChainError(ERRORS.batchSize, `a batch holds 1 to ${MAX_ENTRIES} records, not ${count}`);
      }
      if (terms.length > starts.length) throw new ChainError(ERRORS.batchSize, "more terms than starts");
    },
    signatures: (ctx, message) => recordSignatures(deps, ctx, message),
    execute(ctx, message): inference.MsgRecordsResponse {
      const sender = deps.participants.byNodeAddress(ctx, message.sender);
      if (sender === undefined) throw new ChainError(ERRORS.unknownSender, message.sender);
      return { refusals: recordAll(deps, ctx, sender, message) };
    },
  });

/**
 * Each record checks everything before it writes anything, so that one that is refused leaves no trace. Out of gas is the
 * transaction's fault, not the record's, and goes on, as does anything unexpected.
 */
function recordAll(
  deps: InferenceDeps,
  ctx: Context,
  sender: participant.Participant,
  message: Records,
): inference.Refusal[] {
  const refusals: inference.Refusal[] = [];
  let index = 0;
  const each = <T>(records: readonly T[], run: (record: T) => void): void => {
    for (const record of records) {
      try {
        run(record);
      } catch (error) {
        if (!isRefusal(error)) throw error;
        refusals.push({ index, code: error.code, log: error.message });
      }
      index++;
    }
  };
  const deposits = deps.deposits.together();
  const inner: RecordDeps = { ...deps, deposits };
  if (message.starts.length > 0) {
    const reads = batchReads(inner, ctx);
    const totals = new StartTotals();
    each(message.starts, (entry) => startOne(inner, reads, totals, ctx, sender, message, entry));
    totals.write(inner, ctx, reads.epoch);
  }
  each(message.finishes, (entry) => finishOne(inner, ctx, sender, entry));
  each(message.delivered, (ref) => deliverAsFinished(ctx, sender, ref, true));
  each(message.deliveredInPart, (ref) => deliverAsFinished(ctx, sender, ref, false));
  each(message.deliveries, (record) => deliverOtherwise(inner, ctx, sender, record));
  deposits.write(ctx);
  return refusals;
}
