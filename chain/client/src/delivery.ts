import { fromHex, KaratError, sha256, toHex, utf8 } from "@karat/common";
import { DOMAIN, type inference, partNameOf, sign } from "@karat/proto";
import { verifyBytes } from "./signing.ts";

export interface DeliveryCheck {
  /** `requestHash` of @karat/rules over the sanitised request that was sent. */
  readonly requestHash: Uint8Array;
  /** The text as it was received. */
  readonly text: string;
  /** Encoded DeliveryReceipt and the transfer agent's signature. */
  readonly receipt: Uint8Array;
  readonly signature: Uint8Array;
  /** The transfer agent's registered node key. */
  readonly nodeKey: Uint8Array;
  /** Who went on where an executor broke off, in order, as the receipt's `parts` list them behind the first. */
  readonly parts?: readonly ReceivedPart[];
}

/** A part behind the first one: what its inference id is made of. */
export interface ReceivedPart {
  readonly attempt: number;
  readonly prefix: inference.Prefix;
  /** Where its text begins within that of the answer, in bytes of UTF-8. */
  readonly behindBytes: number;
}

/** One of `karat.parts` of an answer. */
export interface ListedPart {
  readonly attempt: number;
  readonly behind_tokens: number;
  readonly behind_bytes: number;
  /** Hex. */
  readonly prefix_hash: string;
}

/**
 * The parts behind the first, as the field `karat.parts` of an answer lists all of them; without it, one executor gave the whole answer.
 * Throws KaratError `receipt_mismatch` {parts} for anything else.
 */
export function receivedParts(listed: unknown = []): ReceivedPart[] {
  if (!Array.isArray(listed)) throw mismatch("parts");
  return listed.slice(1).map((part: Partial<ListedPart> | null) => {
    const { attempt, behind_tokens: tokens, behind_bytes: behindBytes, prefix_hash: hash } = part ?? {};
    if (!isCount(attempt) || !isCount(tokens) || !isCount(behindBytes)) throw mismatch("parts");
    if (typeof hash !== "string" || !/^[0-9a-f]{64}$/.test(hash)) throw mismatch("parts");
    return { attempt, prefix: { tokens, hash: fromHex(hash) }, behindBytes };
  });
}

const isCount = (value: unknown): value is number =>
  typeof value === "number" && Number.isInteger(value) && value >= 0 && value <= 0xffffffff;

export const mismatch = (field: string, cause?: unknown): KaratError =>
  new KaratError("receipt_mismatch", `The receipt does not fit this request and answer: ${field}.`, { field }, cause);

/**
 * Compares the transfer agent's signed receipt with what the client itself sent and received, all parts of the answer included.
 * Throws KaratError `receipt_mismatch` naming the field in `data.field`.
 */
export function verifyDelivery(check: DeliveryCheck): sign.DeliveryReceipt {
  if (!verifyBytes(check.receipt, check.signature, check.nodeKey)) throw mismatch("signature");
  const receipt = sign.DeliveryReceipt.decode(check.receipt);
  if (receipt.domain !== DOMAIN.delivery) throw mismatch("domain");
  if (toHex(receipt.requestHash) !== toHex(check.requestHash)) throw mismatch("request_hash");
  if (toHex(receipt.outputHash) !== toHex(sha256(utf8(check.text)))) throw mismatch("output_hash");
  const { chainId, inferenceId } = receipt;
  const parts = (check.parts ?? []).map(({ attempt, prefix }) =>
    toHex(sha256(partNameOf(chainId, inferenceId, attempt, prefix))),
  );
  if (String(receipt.parts.map(toHex)) !== String(parts)) throw mismatch("parts");
  return receipt;
}
