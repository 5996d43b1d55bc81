import fc from "fast-check";
import { expect, test } from "vitest";
import { encodeFrame, FrameDecoder, MAX_FRAME_BYTES } from "./framing.ts";

test("messages survive any cutting of the stream", () => {
  const message = fc.uint8Array({ maxLength: 400 });
  fc.assert(
    fc.property(
      fc.array(message, { maxLength: 8 }),
      fc.array(fc.integer({ min: 1, max: 97 }), { minLength: 1 }),
      (messages, cuts) => {
        const stream = Buffer.concat(messages.map(encodeFrame));
        const decoder = new FrameDecoder();
        const received: Uint8Array[] = [];
        for (let at = 0, turn = 0; at < stream.length; turn++) {
          const size = cuts[turn % cuts.length]!;
          received.push(...decoder.push(stream.subarray(at, at + size)));
          at += size;
        }
        expect(received.map((bytes) => Buffer.from(bytes).toString("hex"))).toEqual(
          messages.map((bytes) => Buffer.from(bytes).toString("hex")),
        );
      },
    ),
  );
});

test("a length is an unsigned varint, not a zigzag one", () => {
  expect(encodeFrame(new Uint8Array(300)).subarray(0, 2)).toEqual(Buffer.from([0xac, 0x02]));
});

test.each([
  ["longer than allowed", encodeFrame(new Uint8Array()).length && [0xff, 0xff, 0xff, 0xff, 0x7f]],
  ["never ending", Array(11).fill(0x80)],
])("a length that is %s is refused", (_, bytes) => {
  expect(() => new FrameDecoder().push(Uint8Array.from(bytes as number[]))).toThrow(
    expect.objectContaining({ code: "abci/bad-frame" }),
  );
  expect(MAX_FRAME_BYTES).toBeGreaterThan(104_857_600);
});
