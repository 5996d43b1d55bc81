import { sha256 } from "@karat/common";
import { inference, type participant, refOf, type sign } from "@karat/proto";
import { ChainError } from "../../../app/errors.ts";
import type { Context } from "../../../app/module.ts";
import { ERRORS } from "../errors.ts";
import { emitDelivery } from "../events.ts";
import type { RecordDeps } from "../expects.ts";
import { convictOfContradiction, putDelivered, require, whole, write } from "../keeper.ts";
import { STORE, statements } from "../keys.ts";
import { decodeResponse, isDigestSignedBy } from "../signed.ts";
import { contradicts, deliver, follow, sameBytes } from "../transition.ts";

const Status = inference.InferenceStatus;
const NONE = new Uint8Array();

/** The transfer agent holds, signed by the executor, what the finish on chain says; or its client left before the end. */
export function deliverAsFinished(ctx: Context, sender: participant.Participant, ref: bigint, complete: boolean): void {
  const before = require(ctx, ref);
  if (isRecorded(ctx, before, sender, NONE, complete)) return;
  if (before.status === Status.STARTED) throw new ChainError(ERRORS.notFinished, "it has no finish to agree with yet");
  follow(before.status, "deliver");
  if (complete) putDelivered(ctx, before);
  else write(ctx, deliver(before, NONE, complete, ctx.height));
  emitDelivery(ctx, before, complete);
}

/** What the client received is not what the finish says, or there is no finish; with what the executor signed about it. */
export function deliverOtherwise(
  deps: RecordDeps,
  ctx: Context,
  sender: participant.Participant,
  record: inference.DeliveryRecord,
): void {
  const before = require(ctx, refOf(record.inferenceId));
  if (!sameBytes(before.id, record.inferenceId)) throw new ChainError(ERRORS.unknownInference, "another id");
  const root = record.response.length > 0 ? sha256(record.response) : record.root;
  if (isRecorded(ctx, before, sender, root, record.complete)) return;
  follow(before.status, "deliver");
  const response = checkResponse(deps, ctx, before, record);
  if (root.length !== 32 && (record.complete || root.length > 0)) {
    throw new ChainError(ERRORS.invalidDelivery, "the root of what was delivered is 32 bytes");
  }

  const delivered = deliver(before, root, record.complete, ctx.height);
  write(ctx, delivered);
  emitDelivery(ctx, delivered, record.complete);
  if (response === undefined) return;
  if (delivered.finishHeight === 0n) statements.set(ctx.store(STORE), refOf(delivered.id), response);
  // The executor has signed two answers.
  else if (contradicts(delivered, response, root)) convictOfContradiction(deps, ctx, delivered);
}

/** Throws `wrongSender`, and `alreadyDelivered` where it was recorded with another content. */
function isRecorded(
  ctx: Context,
  before: inference.Inference,
  sender: participant.Participant,
  root: Uint8Array,
  complete: boolean,
): boolean {
  if (before.transferAgent !== sender.operator) throw new ChainError(ERRORS.wrongSender, "not its transfer agent");
  const { deliveryHeight, deliveryComplete, deliveredRoot } = whole(ctx, before);
  if (deliveryHeight === 0n) return false;
  if (deliveryComplete === complete && sameBytes(deliveredRoot, root)) return true;
  throw new ChainError(ERRORS.alreadyDelivered, "delivered with another content");
}

/** The executor's signed response, where one is attached: its own words, about this inference, told on as they are. */
function checkResponse(
  deps: RecordDeps,
  ctx: Context,
  before: inference.Inference,
  record: inference.DeliveryRecord,
): sign.ResponseReceipt | undefined {
  if (record.response.length === 0) {
    if (record.responseSignature.length > 0) throw new ChainError(ERRORS.malformedResponse, "a signature of nothing");
    return undefined;
  }
  if (record.root.length > 0) throw new ChainError(ERRORS.invalidDelivery, "root is left out beside the response");
  const response = decodeResponse(ctx, record.response);
  if (!sameBytes(response.inferenceId, before.id) || response.executor !== before.executor) {
    throw new ChainError(ERRORS.malformedResponse, "not a response to this inference by its executor");
  }
  const key = deps.participants.byOperator(ctx, before.executor)?.nodeKey;
  if (!isDigestSignedBy(ctx, sha256(record.response), record.responseSignature, key)) {
    throw new ChainError(ERRORS.invalidResponseSignature, "not the executor's signature");
  }
  return response;
}
