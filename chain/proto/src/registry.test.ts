import { describe, expect, test } from "vitest";
import { createKaratRegistry, encodeSigned, inference, karatTypes, sign, typeUrls } from "./index.ts";

describe("registry", () => {
  test("knows every message that has a name", () => {
    expect(karatTypes.map(([url]) => url).sort()).toEqual(Object.values(typeUrls).sort());
  });

  test("encodes and decodes a message through CosmJS", () => {
    const registry = createKaratRegistry();
    const value = inference.MsgRecords.fromPartial({
      sender: "karat1",
      finishes: [{ ref: 2n ** 64n - 1n, completionTokens: 3, opening: { tokenIds: [1, 300] } }],
      delivered: [7n],
    });
    const bytes = registry.encode({ typeUrl: typeUrls.records, value });
    expect(registry.decode({ typeUrl: typeUrls.records, value: bytes })).toEqual(value);
  });
});

describe("signed bytes", () => {
  test("begin with their domain, so that one kind is never another", () => {
    const common = { chainId: "karat-1", inferenceId: new Uint8Array(32), attempt: 0, executor: "karat1x" };
    const busy = encodeSigned("busy", common);
    const receipt = encodeSigned("receipt", { ...common, promptTokens: 0, deadlineHeight: 0n });
    expect(busy).not.toEqual(receipt);
    expect(sign.Busy.decode(busy).domain).toBe("karat/busy/v1");
  });
});
