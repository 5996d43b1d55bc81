import { fromBase64 } from "@karat/common";
import { inference, sign } from "@karat/proto";
import { LegacyAminoPubKey } from "cosmjs-types/cosmos/crypto/multisig/keys";
import { PubKey } from "cosmjs-types/cosmos/crypto/secp256k1/keys";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { decimal, duration, wholeDecimal } from "./formats.ts";
import { timestampJson, toJson } from "./json.ts";

describe("toJson", () => {
  test("64-bit numbers are text, 32-bit ones numbers, bytes base64, names snake_case, zeros there", () => {
    const message = {
      someHeight: 2n ** 64n - 1n,
      tokenCount: 0,
      log2Evidence: -1n,
      nodeKey: new Uint8Array([255]),
      done: false,
    };
    expect(toJson(message)).toEqual({
      some_height: "18446744073709551615",
      token_count: 0,
      log2_evidence: "-1",
      node_key: "/w==",
      done: false,
    });
  });

  test("an unset message is null, the unset side of a oneof absent, no next page null", () => {
    expect(
      toJson({ participant: undefined, single: { mode: 1 }, multi: undefined, nextKey: new Uint8Array() }),
    ).toEqual({
      participant: null,
      single: { mode: 1 },
      next_key: null,
    });
  });

  test("an any of an unknown type, or with bytes that do not decode, stays closed", () => {
    for (const typeUrl of ["/other.v1.Msg", "/cosmos.bank.v1beta1.MsgSend"]) {
      expect(toJson({ typeUrl, value: new Uint8Array([10, 200]) })).toEqual({ "@type": typeUrl, value: "Csg=" });
    }
  });

  test("enums inside Karat's messages have their names", () => {
    const value = inference.MsgRecords.encode(
      inference.MsgRecords.fromPartial({ finishes: [{ finishReason: sign.FinishReason.LENGTH }] }),
    ).finish();
    expect(toJson({ typeUrl: "/karat.inference.v1.MsgRecords", value })).toMatchObject({
      "@type": "/karat.inference.v1.MsgRecords",
      finishes: [{ finish_reason: "FINISH_REASON_LENGTH", unused_prompt_tokens: 0 }],
    });
  });

  test("keys of keys of keys are opened to a depth, and no further", () => {
    let any = {
      typeUrl: "/cosmos.crypto.secp256k1.PubKey",
      value: PubKey.encode({ key: new Uint8Array(33) }).finish(),
    };
    for (let depth = 0; depth < 50; depth++) {
      const value = LegacyAminoPubKey.encode({ threshold: 1, publicKeys: [any] }).finish();
      any = { typeUrl: "/cosmos.crypto.multisig.LegacyAminoPubKey", value };
    }
    expect(JSON.stringify(toJson(any)).match(/threshold/g)).toHaveLength(4);
  });

  test("what bytes become is read back", () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1 }), (bytes) => {
        const { data } = toJson({ data: bytes }) as { data: string };
        expect(fromBase64(data)).toEqual(bytes);
      }),
    );
  });
});

describe("decimals, durations, times", () => {
  test("a decimal has 18 digits, whatever its size", () => {
    expect(decimal("0")).toBe("0.000000000000000000");
    expect(decimal("1")).toBe("0.000000000000000001");
    expect(decimal("-1500000000000000000")).toBe("-1.500000000000000000");
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: 2n ** 64n }), (amount) => {
        expect(BigInt(wholeDecimal(amount).replace(".", ""))).toBe(amount * 10n ** 18n);
      }),
    );
  });

  test("a duration in seconds, a time in UTC", () => {
    expect(duration({ seconds: 1_814_400n, nanos: 0 })).toBe("1814400s");
    expect(duration({ seconds: 1n, nanos: 5_000_000 })).toBe("1.005000000s");
    expect(timestampJson({ seconds: 0n, nanos: 0 })).toBe("1970-01-01T00:00:00Z");
    expect(timestampJson({ seconds: 1_700_000_000n, nanos: 120_000_000 })).toBe("2023-11-14T22:13:20.12Z");
  });
});
