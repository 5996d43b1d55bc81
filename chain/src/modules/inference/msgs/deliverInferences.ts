import { inference, type participant, type sign } from "@karat/proto";
import { ChainError } from "../../../app/errors.ts";
import type { Context } from "../../../app/module.ts";
import { defineBatch } from "../batch.ts";
import { ERRORS } from "../errors.ts";
import { emitDelivery } from "../events.ts";
import type { InferenceDeps } from "../expects.ts";
import { convictOfContradiction, require, write } from "../keeper.ts";
import { STORE, statements } from "../keys.ts";
import { deliverySignatures } from "../signaturesAhead.ts";
import { decodeResponse, isSignedBy } from "../signed.ts";
import { deliver, follow, sameBytes } from "../transition.ts";

/** What the client really received, and what the executor signed when it sent it. From the transfer agent's node key. */
export const deliverInferences = (deps: InferenceDeps) =>
  defineBatch({
    codec: inference.MsgDeliverInferences,
    response: {
      typeUrl: "/karat.inference.v1.MsgDeliverInferencesResponse",
      codec: inference.MsgDeliverInferencesResponse,
    },
    errors: ERRORS,
    senderOf: (ctx, address) => deps.participants.byNodeAddress(ctx, address),
    recordsOf: (message) => message.records,
    idOf: (record) => record.inferenceId,
    signatures: (ctx, record) => deliverySignatures(deps, ctx, record),
    run: (_ctx, sender) => (inner, record) => deliverOne(deps, inner, sender, record),
  });

function deliverOne(
  deps: InferenceDeps,
  ctx: Context,
  sender: participant.Participant,
  record: inference.DeliveryRecord,
): string {
  const before = require(ctx, record.inferenceId);
  if (before.transferAgent !== sender.operator) throw new ChainError(ERRORS.wrongSender, "not its transfer agent");
  if (before.deliveryHeight > 0n) {
    if (sameBytes(before.deliveredHash, record.outputHash) && before.deliveryComplete === record.complete) {
      return "already recorded";
    }
    throw new ChainError(ERRORS.alreadyDelivered, "delivered with another content");
  }
  follow(before.status, "deliver");
  if (record.outputHash.length !== 32) throw new ChainError(ERRORS.invalidDelivery, "output_hash is 32 bytes");
  const response = checkResponse(deps, ctx, before, record);

  const delivered = deliver(before, record, ctx.height);
  write(ctx, delivered);
  emitDelivery(ctx, delivered);
  if (response === undefined) return "";
  if (delivered.finishHeight === 0n) {
    statements.set(ctx.store(STORE), delivered.id, statementOf(response));
    return "";
  }
  if (
    sameBytes(response.outputHash, delivered.outputHash) &&
    sameBytes(response.artifactRoot, delivered.artifactRoot)
  ) {
    return "";
  }
  convictOfContradiction(deps, ctx, delivered);
  return "the executor signed two outputs";
}

/** The executor's signed response, where one is attached: its own words, about this inference, told on as they are. */
function checkResponse(
  deps: InferenceDeps,
  ctx: Context,
  before: inference.Inference,
  record: inference.DeliveryRecord,
): sign.ResponseReceipt | undefined {
  if (record.response.length === 0) {
    if (record.responseSignature.length > 0) throw new ChainError(ERRORS.malformedResponse, "a signature of nothing");
    return undefined;
  }
  const response = decodeResponse(ctx, record.response);
  if (!sameBytes(response.inferenceId, before.id) || response.executor !== before.executor) {
    throw new ChainError(ERRORS.malformedResponse, "not a response to this inference by its executor");
  }
  const key = deps.participants.byOperator(ctx, before.executor)?.nodeKey;
  if (!isSignedBy(ctx, record.response, record.responseSignature, key)) {
    throw new ChainError(ERRORS.invalidResponseSignature, "not the executor's signature");
  }
  if (record.complete && !sameBytes(response.outputHash, record.outputHash)) {
    throw new ChainError(ERRORS.invalidDelivery, "says that the client received something else than was sent");
  }
  return response;
}

function statementOf(response: sign.ResponseReceipt): Uint8Array {
  const statement = new Uint8Array(64);
  statement.set(response.outputHash, 0);
  statement.set(response.artifactRoot, 32);
  return statement;
}
