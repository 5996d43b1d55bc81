import { isKaratError, newPrivateKey, publicKeyOf, sha256, utf8 } from "@karat/common";
import { sign } from "@karat/proto";
import { expect, test } from "vitest";
import { type ResponseCheck, verifyResponse } from "./response.ts";
import { signMessage } from "./signing.ts";

const key = newPrivateKey();
const [order, part] = [sha256(utf8("order")), sha256(utf8("part"))];
const { FinishReason } = sign;
const TEXT = "Zwölf drei";
const honest = {
  chainId: "karat-1",
  inferenceId: order,
  executor: "karat1executor",
  outputHash: sha256(utf8(TEXT)),
  artifactRoot: new Uint8Array(32),
  promptTokens: 4,
  completionTokens: 6,
  finishReason: FinishReason.STOP as sign.FinishReason,
  promptHash: new Uint8Array(32),
};
const delivery = sign.DeliveryReceipt.fromPartial({ ...honest, attempts: 1 });
/** Of the part behind the first four tokens, which are the first word. */
const last = {
  ...honest,
  inferenceId: part,
  outputHash: sha256(utf8(" drei")),
  promptTokens: 8,
  completionTokens: 2,
  finishReason: FinishReason.LENGTH as sign.FinishReason,
};
const inParts: Partial<ResponseCheck> = {
  delivery: { ...delivery, parts: [part] },
  parts: [{ attempt: 1, prefix: { tokens: 4, hash: new Uint8Array(32) }, behindBytes: 6 }],
};

function verify(response: typeof honest, check: Partial<ResponseCheck> = {}): sign.ResponseReceipt {
  const signed = signMessage("response", response, key);
  const { bytes, signature } = signed;
  return verifyResponse({ response: bytes, signature, nodeKey: publicKeyOf(key), delivery, text: TEXT, ...check });
}

test("a response fits the delivery of its answer; in parts, that of the last", () => {
  expect(verify(honest).finishReason).toBe(FinishReason.STOP);
  expect(verify(last, inParts).finishReason).toBe(FinishReason.LENGTH);
});

test.each<[string, Partial<typeof honest>]>([
  ["chain_id", { chainId: "other" }],
  ["inference_id", { inferenceId: sha256(utf8("other")) }],
  ["executor", { executor: "karat1other" }],
  ["output_hash", { outputHash: sha256(utf8("other")) }],
  ["prompt_tokens", { promptTokens: 5 }],
  ["completion_tokens", { completionTokens: 5 }],
  ["finish_reason", { finishReason: FinishReason.CANCELLED }],
  ["finish_reason", { finishReason: FinishReason.UNSPECIFIED }],
])("another %s does not", (field, change) => {
  for (const run of [() => verify({ ...honest, ...change }), () => verify({ ...last, ...change }, inParts)]) {
    expect(refused(run)).toBe(`response.${field}`);
  }
});

test("nor does one of another key, of an earlier part, or of another kind of message", () => {
  expect(refused(() => verify(honest, { nodeKey: publicKeyOf(newPrivateKey()) }))).toBe("response.signature");
  expect(refused(() => verify(honest, inParts))).toBe("response.inference_id");
  const { bytes, signature } = signMessage("delivery", delivery, key);
  expect(refused(() => verify(honest, { response: bytes, signature }))).toBe("response.domain");
});

function refused(run: () => unknown): unknown {
  try {
    run();
  } catch (error) {
    if (isKaratError(error, "receipt_mismatch")) return error.data.field;
    throw error;
  }
  return undefined;
}
