/** Parts of answers that other executors go on with, for tests. */
import { sha256, signDigest } from "@karat/common";
import { encodeSigned, type inference, partNameOf, sign } from "@karat/proto";
import { tokensHash } from "@karat/rules";
import type { TestNetwork } from "./network.ts";
import { PROMPT_TOKENS, type Request } from "./records.ts";

export interface PartOptions {
  /** Place in the draw of the one that goes on; the next one's. */
  readonly attempt?: number;
  /** Ids of the output tokens before it. */
  readonly prefix?: readonly number[];
  readonly receipt?: Partial<Omit<sign.Receipt, "domain">>;
  readonly record?: Partial<inference.StartRecord>;
}

export interface PartRequest extends Request {
  readonly prefix: readonly number[];
}

/** What goes on with an order, with the receipt of the executor at its place in the order's draw. */
export function partOf(network: TestNetwork, order: Request, options: PartOptions = {}): PartRequest {
  const { chain } = network;
  const { anchorHeight } = sign.RequestAuthorization.decode(order.record.authorization);
  const drawn = network.drawOrder(order.id, anchorHeight);
  const attempt = options.attempt ?? drawn.indexOf(order.executor) + 1;
  const prefix = options.prefix ?? [4, 5, 6];
  const named: inference.Prefix = { tokens: prefix.length, hash: tokensHash(prefix) };
  const id = sha256(partNameOf(chain.chainId, order.id, attempt, options.record?.prefix ?? named));
  const executor = options.receipt?.executor ?? drawn[attempt] ?? network.transferAgent;
  const receipt = encodeSigned("receipt", {
    chainId: chain.chainId,
    inferenceId: id,
    attempt,
    executor,
    promptTokens: PROMPT_TOKENS + prefix.length,
    deadlineHeight: chain.height + 5n,
    ...options.receipt,
  });
  return {
    id,
    executor,
    prefix,
    record: {
      ...order.record,
      receipt,
      receiptSignature: signDigest(sha256(receipt), network.nodeKey(executor).privateKey),
      skips: Array.from({ length: attempt }, () => ({ reason: "broke:died", busySignature: new Uint8Array() })),
      prefix: named,
      signature: signDigest(id, network.nodeKey(network.transferAgent).privateKey),
      ...options.record,
    },
  };
}
