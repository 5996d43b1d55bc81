import { sha256 } from "@karat/common";
import { type inference, partNameOf } from "@karat/proto";
import { tokensHash } from "@karat/rules";

/** A part of an answer that goes on behind the tokens which another executor of the draw delivered. */
export interface ContinuedPart {
  readonly chainId: string;
  /** SHA-256 of the authorization. */
  readonly orderId: Uint8Array;
  /** Place in the draw of the executor that goes on. */
  readonly attempt: number;
  /** Ids of the output tokens before it. */
  readonly prefix: readonly number[];
}

/** The inference id of a continued part, by protocol section 3: its records, receipts and artifact are under it. */
export function continuationId({ chainId, orderId, attempt, prefix }: ContinuedPart): Uint8Array {
  return sha256(partNameOf(chainId, orderId, attempt, prefixOf(prefix)));
}

/** How the chain knows the tokens before a part. */
export const prefixOf = (ids: readonly number[]): inference.Prefix => ({ tokens: ids.length, hash: tokensHash(ids) });
