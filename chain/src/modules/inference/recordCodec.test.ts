import { inference, sign } from "@karat/proto";
import fc from "fast-check";
import { expect, test } from "vitest";
import { recordCodec } from "./recordCodec.ts";

const u64 = fc.bigInt(0n, 2n ** 64n - 1n);
const u32 = fc.oneof(fc.nat(300), fc.integer({ min: 0, max: 2 ** 32 - 1 }));
const bytes = fc.uint8Array({ maxLength: 40 });
const text = fc.oneof(fc.string({ maxLength: 60 }), fc.string({ unit: "grapheme", maxLength: 60 }));
const { InferenceStatus } = inference;
const { FinishReason, RecordingMode } = sign;
const sampling = fc.record({
  temperatureMicros: u32,
  topK: u32,
  topPMicros: u32,
  minPMicros: u32,
  frequencyPenaltyMicros: fc.integer(),
  presencePenaltyMicros: fc.integer(),
});

const record: fc.Arbitrary<Partial<inference.Inference>> = fc.record(
  {
    id: bytes,
    client: text,
    model: text,
    transferAgent: text,
    executor: text,
    attempt: u32,
    requestHash: bytes,
    sampling: fc.option(sampling, { nil: undefined }),
    anchorHeight: u64,
    maxOutputTokens: u32,
    inputPrice: u64,
    outputPrice: u64,
    locked: u64,
    startHeight: u64,
    deadlineHeight: u64,
    status: fc.constantFrom(InferenceStatus.UNSPECIFIED, InferenceStatus.STARTED, InferenceStatus.INCONCLUSIVE),
    epoch: u64,
    finishHeight: u64,
    root: bytes,
    promptTokens: u32,
    completionTokens: u32,
    finishReason: fc.constantFrom(FinishReason.UNSPECIFIED, FinishReason.STOP, FinishReason.CANCELLED),
    cost: u64,
    deliveryHeight: u64,
    deliveredRoot: bytes,
    settleHeight: u64,
    receiptPromptTokens: u32,
    recording: fc.constantFrom(RecordingMode.UNSPECIFIED, RecordingMode.FULL, RecordingMode.COMMIT),
    deliveryComplete: fc.boolean(),
    part: fc.option(fc.record({ orderId: bytes, prefixTokens: u32, prefixHash: bytes }), { nil: undefined }),
    continued: fc.option(fc.record({ by: u64, at: u32 }), { nil: undefined }),
  },
  { requiredKeys: [] },
);

test("a record is encoded as protobuf has it, and stays when others are encoded behind it", () => {
  fc.assert(
    fc.property(fc.array(record, { maxLength: 8 }), (partials) => {
      const records = partials.map((partial) => inference.Inference.fromPartial(partial));
      const encoded = records.map((each) => recordCodec.encode(each));
      expect(encoded).toEqual(records.map((each) => inference.Inference.encode(each).finish()));
      expect(encoded.map((each) => recordCodec.decode(each))).toEqual(records);
    }),
  );
});

test("a number that is no u64 is not encoded", () => {
  for (const locked of [-1n, 2n ** 64n]) {
    expect(() => recordCodec.encode(inference.Inference.fromPartial({ locked }))).toThrow(RangeError);
  }
});
