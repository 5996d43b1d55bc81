import { isKaratError, newPrivateKey, sha256, utf8 } from "@karat/common";
import { sign } from "@karat/proto";
import { describe, expect, test } from "vitest";
import { authorize, decodeApiKey, encodeApiKey, openAuthorization, signMessage, verifyDelivery } from "./index.ts";

const privateKey = newPrivateKey();
const terms = {
  chainId: "karat-1",
  privateKey,
  model: "karat-tiny",
  requestHash: sha256(utf8("{}")),
  maxInputTokens: 10,
  maxOutputTokens: 20,
  maxInputPrice: 1n,
  maxOutputPrice: 2n,
  sampling: sign.Sampling.fromPartial({ temperatureMicros: 700_000, topK: 64, topPMicros: 1_000_000 }),
  anchorHeight: 5n,
  transferAgent: "karat1transferagent",
  recording: sign.RecordingMode.FULL,
};

const reasonOf = (run: () => unknown): unknown => {
  try {
    run();
  } catch (error) {
    if (isKaratError(error)) return [error.code, error.data.reason ?? error.data.field];
  }
  return "no error";
};

describe("API keys", () => {
  test("round-trip to the account whose deposit pays", () => {
    const key = decodeApiKey(encodeApiKey(privateKey));
    expect(key.privateKey).toEqual(privateKey);
    expect(key.address).toMatch(/^karat1/);
  });

  test.each(["", "sk-other", "sk-karat-", "sk-karat-zz", `${encodeApiKey(privateKey).slice(0, -1)}A`])(
    "%s is refused",
    (text) => {
      if (text === encodeApiKey(privateKey)) return;
      expect(() => decodeApiKey(text)).toThrow(expect.objectContaining({ code: "invalid_api_key" }));
    },
  );
});

describe("authorizations", () => {
  test("open to what was signed, with the id over the signed bytes", () => {
    const made = authorize(terms);
    const opened = openAuthorization(made.bytes, made.signature);
    expect(opened.inferenceId).toEqual(sha256(made.bytes));
    expect(opened.message).toEqual(made.message);
  });

  test("two of the same request differ by their nonce", () => {
    expect(authorize(terms).inferenceId).not.toEqual(authorize(terms).inferenceId);
  });

  test("a changed byte, an unknown field or a foreign signature is refused", () => {
    const made = authorize(terms);
    const padded = Uint8Array.from([...made.bytes, 0xf8, 0x07, 0x01]);
    expect(reasonOf(() => openAuthorization(padded, made.signature))).toEqual([
      "invalid_authorization",
      "not in canonical encoding",
    ]);
    const other = authorize(terms);
    expect(reasonOf(() => openAuthorization(made.bytes, other.signature))).toEqual([
      "invalid_authorization",
      "wrong signature",
    ]);
    const stolen = sign.RequestAuthorization.encode({ ...made.message, client: "karat1other" }).finish();
    expect(reasonOf(() => openAuthorization(stolen, made.signature))).toEqual([
      "invalid_authorization",
      "the key is not the client's",
    ]);
  });
});

test("a delivery receipt holds only for the answer that was received", () => {
  const { publicKey } = decodeApiKey(encodeApiKey(privateKey));
  const receipt = signMessage(
    "delivery",
    {
      chainId: "karat-1",
      inferenceId: new Uint8Array(32),
      transferAgent: "karat1ta",
      executor: "karat1ex",
      requestHash: terms.requestHash,
      outputHash: sha256(utf8("hello")),
      promptTokens: 1,
      completionTokens: 1,
      cost: 3n,
      attempts: 1,
      parts: [],
    },
    privateKey,
  );
  const check = {
    requestHash: terms.requestHash,
    text: "hello",
    receipt: receipt.bytes,
    signature: receipt.signature,
    nodeKey: publicKey,
  };
  expect(verifyDelivery(check).cost).toBe(3n);
  expect(reasonOf(() => verifyDelivery({ ...check, text: "hallo" }))).toEqual(["receipt_mismatch", "output_hash"]);
  expect(reasonOf(() => verifyDelivery({ ...check, requestHash: new Uint8Array(32) }))).toEqual([
    "receipt_mismatch",
    "request_hash",
  ]);
  expect(reasonOf(() => verifyDelivery({ ...check, signature: new Uint8Array(64) }))).toEqual([
    "receipt_mismatch",
    "signature",
  ]);
});
