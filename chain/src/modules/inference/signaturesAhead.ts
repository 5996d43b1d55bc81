/** The signatures that records will be asked for, for verifying them before their block. A guess: execution decides. */
import { sha256 } from "@karat/common";
import { type inference, sign } from "@karat/proto";
import type { Context } from "../../app/module.ts";
import type { SignatureCheck } from "../../app/signatures/verified.ts";
import type { InferenceDeps } from "./expects.ts";

type Deps = Pick<InferenceDeps, "participants">;

/** The client's and the executor's; that of a `busy` needs the draw and stays with the execution. */
export function* startSignatures(
  { participants }: Deps,
  ctx: Context,
  { authorization, signature, receipt, receiptSignature }: inference.StartRecord,
): Generator<SignatureCheck> {
  const key = decoded(sign.RequestAuthorization, authorization)?.key;
  if (key !== undefined) yield { digest: sha256(authorization), signature, publicKey: key };
  const executor = decoded(sign.Receipt, receipt)?.executor;
  const publicKey = executor === undefined ? undefined : participants.byOperator(ctx, executor)?.nodeKey;
  if (publicKey !== undefined) yield { digest: sha256(receipt), signature: receiptSignature, publicKey };
}

/** The executor's, where its response is attached. */
export function* deliverySignatures(
  { participants }: Deps,
  ctx: Context,
  { response, responseSignature }: inference.DeliveryRecord,
): Generator<SignatureCheck> {
  if (response.length === 0) return;
  const executor = decoded(sign.ResponseReceipt, response)?.executor;
  const publicKey = executor === undefined ? undefined : participants.byOperator(ctx, executor)?.nodeKey;
  if (publicKey !== undefined) yield { digest: sha256(response), signature: responseSignature, publicKey };
}

function decoded<T>(type: { decode(bytes: Uint8Array): T }, bytes: Uint8Array): T | undefined {
  try {
    return type.decode(bytes);
  } catch {
    return undefined;
  }
}
