import { sha256, signDigest, utf8 } from "@karat/common";
import { encodeSigned, type inference, sign } from "@karat/proto";
import { domainHash } from "@karat/rules";
import type { TestKey } from "./identities.ts";

const { FinishReason } = sign;

export const PROMPT_TOKENS = 10;

/** A request on its way: who computes it and what they signed. */
export interface Request {
  readonly id: Uint8Array;
  readonly executor: string;
  readonly record: inference.StartRecord;
}

export function finishOf(
  { id, executor }: Pick<Request, "id" | "executor">,
  change: Partial<inference.FinishRecord> = {},
): inference.FinishRecord {
  return {
    inferenceId: id,
    outputHash: sha256(utf8("answer")),
    artifactRoot: new Uint8Array(32).fill(7),
    promptHash: new Uint8Array(32).fill(8),
    promptTokens: PROMPT_TOKENS,
    completionTokens: 20,
    finishReason: FinishReason.STOP,
    output: new Uint8Array(),
    tokenIds: [],
    artifact: new Uint8Array(),
    prefixTokenIds: [],
    error: "",
    executor,
    receiptPromptTokens: PROMPT_TOKENS,
    ...change,
  };
}

/** What the transfer agent delivered, with what the executor signed about it. */
export function deliveryOf(
  network: { readonly chain: { readonly chainId: string }; nodeKey(operator: string): TestKey },
  { id, executor }: Pick<Request, "id" | "executor">,
  response: Partial<Omit<sign.ResponseReceipt, "domain">> | undefined = {},
  change: Partial<inference.DeliveryRecord> = {},
): inference.DeliveryRecord {
  const { outputHash, artifactRoot, promptHash, promptTokens, completionTokens, finishReason } = finishOf({
    id,
    executor,
  });
  const content = { outputHash, artifactRoot, promptHash, promptTokens, completionTokens, finishReason };
  const bytes = encodeSigned("response", {
    chainId: network.chain.chainId,
    inferenceId: id,
    executor,
    ...content,
    ...response,
  });
  return {
    inferenceId: id,
    root: new Uint8Array(),
    complete: true,
    response: bytes,
    responseSignature: signDigest(sha256(bytes), network.nodeKey(executor).privateKey),
    ...change,
  };
}

/** A hash that is nobody's. */
export const otherHash = (name: string): Uint8Array => domainHash("karat/test/hash", name);
