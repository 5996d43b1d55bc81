import { authorize, signMessage } from "@karat/client";
import { newPrivateKey, publicKeyOf, sha256, utf8 } from "@karat/common";
import { epoch, participant, sign } from "@karat/proto";
import { DEFAULT_SAMPLING } from "@karat/rules";
import { describe, expect, test } from "vitest";
import type { TokenLine } from "../executor/protocol.ts";
import { type ReceivedAnswer, verifyAnswer } from "./answer.ts";
import { readClientRequest } from "./clientRequest.ts";
import { ReceiptTimeouts } from "./receiptTimeouts.ts";

const nodeKey = newPrivateKey();
const executor = "karat1executor";
const request = readClientRequest("text", utf8(JSON.stringify({ model: "m", prompt: "Say" })));
const authorization = authorize({
  chainId: "karat-1",
  privateKey: newPrivateKey(),
  model: "m",
  requestHash: request.hash,
  maxInputTokens: 10,
  maxOutputTokens: 3,
  maxInputPrice: 5n,
  maxOutputPrice: 7n,
  sampling: DEFAULT_SAMPLING,
  anchorHeight: 1n,
  transferAgent: "karat1agent",
  recording: sign.RecordingMode.FULL,
});
const { inferenceId } = authorization;
const honest = {
  chainId: "karat-1",
  inferenceId,
  executor,
  outputHash: sha256(utf8("ab")),
  artifactRoot: sha256(utf8("root")),
  promptHash: new Uint8Array(32),
  promptTokens: 4,
  completionTokens: 2,
  finishReason: sign.FinishReason.STOP as sign.FinishReason,
};
const token = (id: number, text: string): TokenLine => ({
  type: "token",
  id,
  token: text,
  text,
  bytes: [],
  logprob: 0,
  top: [],
});

function received(
  response: Partial<typeof honest> = {},
  change: Partial<ReceivedAnswer> = {},
  key = nodeKey,
): ReceivedAnswer {
  const signed = signMessage("response", { ...honest, ...response }, key);
  return {
    own: false,
    chainId: "karat-1",
    inferenceId,
    begin: { prefixTokens: 0, held: 0n },
    order: {
      authorization,
      request,
      dimensions: undefined,
      drawn: [],
      counted: true,
      hold: { begun() {}, release() {} },
    },
    candidate: {
      member: epoch.Member.fromPartial({ operator: executor, nodeKey: publicKeyOf(nodeKey) }),
      offer: participant.Offer.fromPartial({ model: "m", inputPrice: 3n, outputPrice: 5n }),
    },
    promise: sign.Receipt.fromPartial({ promptTokens: 4 }),
    text: "ab",
    tokens: [token(1, "a"), token(2, "b")],
    end: {
      type: "end",
      finish_reason: "stop",
      usage: { prompt_tokens: 4, completion_tokens: 2 },
      token_ids: [1, 2],
      text: "ab",
      prompt_hash: "00".repeat(32),
      artifact: "",
      response: signed.bytes,
      response_signature: signed.signature,
    },
    ...change,
  };
}

describe("an answer is believed", () => {
  test("when signature, text, tokens and counts fit, and costs what was used at the executor's offer", () => {
    expect(verifyAnswer(received())?.cost).toBe(4n * 3n + 2n * 5n);
  });

  test.each<[string, ReceivedAnswer]>([
    ["signed by another key", received({}, {}, newPrivateKey())],
    ["of another chain", received({ chainId: "other" })],
    ["of another inference", received({ inferenceId: sha256(utf8("other")) })],
    ["of another executor", received({ executor: "karat1other" })],
    ["with the hash of another text", received({ outputHash: sha256(utf8("ba")) })],
    ["with more prompt tokens than the receipt", received({ promptTokens: 5 })],
    ["with more tokens than were sent", received({ completionTokens: 3 })],
    ["with another reason of its end than is told", received({ finishReason: sign.FinishReason.LENGTH })],
    ["with a token too few", received({}, { tokens: [token(1, "ab")] })],
    ["with other token ids than were sent", received({}, { tokens: [token(1, "a"), token(3, "b")] })],
    ["whose text was changed on the way", received({}, { text: "aB" })],
  ])("not when it is %s", (_name, answer) => {
    expect(verifyAnswer(answer)).toBeUndefined();
  });
});

describe("the wait for a receipt", () => {
  test("is long for a stranger, follows what the executor needs, and stays within its bounds", () => {
    const timeouts = new ReceiptTimeouts({ leastMs: 100, mostMs: 1_000 });
    expect(timeouts.of("a")).toBe(1_000);
    for (let i = 0; i < 50; i++) timeouts.answered("a", 60);
    expect(timeouts.of("a")).toBe(100);
    for (let i = 0; i < 20; i++) timeouts.answered("a", i % 2 === 0 ? 60 : 200);
    expect(timeouts.of("a")).toBeGreaterThan(200);
    for (let i = 0; i < 10; i++) timeouts.timedOut("a");
    expect(timeouts.of("a")).toBe(1_000);
  });

  test("is remembered for a bounded number of executors", () => {
    const timeouts = new ReceiptTimeouts({ maxExecutors: 1 });
    timeouts.answered("a", 10);
    timeouts.answered("b", 10);
    expect(timeouts.of("a")).toBe(5_000);
    expect(timeouts.of("b")).toBeLessThan(5_000);
  });
});
