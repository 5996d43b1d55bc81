/** The signatures that records will be asked for, for verifying them before their block. A guess: execution decides. */
import { sha256 } from "@karat/common";
import { encodeSigned, type inference, partNameOf, sign } from "@karat/proto";
import type { Context } from "../../app/module.ts";
import type { SignatureCheck } from "../../app/signatures/verified.ts";
import { type BatchReads, batchReads } from "./batchReads.ts";
import type { InferenceDeps } from "./expects.ts";
import { openStart } from "./signed.ts";

/** Clients', and executors' where they ride; that of a `busy` needs the draw and stays with the execution. */
export function* recordSignatures(
  deps: InferenceDeps,
  ctx: Context,
  message: inference.MsgRecords,
): Generator<SignatureCheck> {
  const sender = deps.participants.byNodeAddress(ctx, message.sender)?.operator;
  if (sender === undefined) return;
  const reads = batchReads(deps, ctx);
  for (const entry of message.starts) yield* startSignatures(reads, ctx, sender, message, entry);
  for (const delivery of message.deliveries) yield* deliverySignatures(reads, delivery);
}

function* startSignatures(
  reads: BatchReads,
  ctx: Context,
  sender: string,
  message: inference.MsgRecords,
  entry: inference.StartEntry,
): Generator<SignatureCheck> {
  const opened = optional(() => openStart(ctx, reads, sender, message, entry));
  if (opened === undefined) return;
  const { id: orderId, authorization } = opened;
  const { prefix, signature } = entry;
  const id = prefix ? sha256(partNameOf(ctx.chainId, orderId, entry.attempt, prefix)) : orderId;
  const { transferAgent } = authorization;
  const signer = prefix ? reads.participant(transferAgent)?.nodeKey : authorization.key;
  if (signer !== undefined && !(prefix && sender === transferAgent)) yield { digest: id, signature, publicKey: signer };
  if (entry.executor === 0) return;
  const executor = reads.operator(entry.executor);
  const publicKey = executor === undefined ? undefined : reads.participant(executor)?.nodeKey;
  if (executor === undefined || publicKey === undefined) return;
  const { attempt, promptTokens, deadlineAfter, receiptSignature } = entry;
  const deadlineHeight = message.baseHeight + BigInt(deadlineAfter);
  const { chainId } = ctx;
  const receipt = optional(() =>
    encodeSigned("receipt", { chainId, inferenceId: id, executor, attempt, promptTokens, deadlineHeight }),
  );
  if (receipt !== undefined) yield { digest: sha256(receipt), signature: receiptSignature, publicKey };
}

/** The executor's, where its response is attached. */
function* deliverySignatures(
  reads: BatchReads,
  { response, responseSignature }: inference.DeliveryRecord,
): Generator<SignatureCheck> {
  if (response.length === 0) return;
  const executor = optional(() => sign.ResponseReceipt.decode(response))?.executor;
  const publicKey = executor === undefined ? undefined : reads.participant(executor)?.nodeKey;
  if (publicKey !== undefined) yield { digest: sha256(response), signature: responseSignature, publicKey };
}

/** Undefined where the record is one that will be refused. */
function optional<T>(make: () => T): T | undefined {
  try {
    return make();
  } catch {
    return undefined;
  }
}
