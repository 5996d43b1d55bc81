import { DEFAULT_SAMPLING } from "@karat/rules";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { collect } from "../collect.ts";
import type { InferenceEngine } from "../engine/engine.ts";
import { type AnswerRequest, answer } from "./answer.ts";

const STOP = 0;
/** Bytes of the tokens 1 … : letters, pieces of characters of two to four bytes, and bytes that are no UTF-8. */
const PIECES: readonly (readonly number[])[] = [
  [],
  [0x61],
  [0x62],
  [0x61, 0x62],
  [0xe2],
  [0x82],
  [0xac],
  [0xf0, 0x9f],
  [0x98, 0x80],
  [0xc3],
  [0xff],
];

/** Gives the scripted tokens, from the end of the prefix on. */
function scripted(script: readonly number[]): InferenceEngine {
  const missing = (): never => {
    throw new Error("not scripted");
  };
  return {
    vocabulary: {
      size: PIECES.length,
      longest: 2,
      stopTokenIds: [STOP],
      bytesOf: (id) => Uint8Array.from(PIECES[id]!),
      nameOf: String,
    },
    info: missing,
    state: () => "ready",
    load: () => ({ running: 0, waiting: 0 }),
    render: async () => [1, 2, 3],
    async *generate({ prefixIds = [], maxTokens, onAccepted }) {
      onAccepted?.();
      for (const id of script.slice(prefixIds.length, maxTokens)) yield { id, logprob: -0.1, top: [] };
    },
    score: missing,
    embed: missing,
    close: async () => undefined,
  };
}

const base: Omit<AnswerRequest, "stop" | "maxTokens"> = {
  input: { prompt: "" },
  sampling: DEFAULT_SAMPLING,
  seed: new Uint8Array(32),
  topLogprobs: 0,
  recordTop: 1,
};

async function run(script: readonly number[], stop: readonly string[], prefixIds: readonly number[]) {
  const request = { ...base, stop, maxTokens: script.length, prefixIds };
  const events = await collect(answer(scripted(script), request));
  const end = events.at(-1)!;
  if (end.type !== "end") throw new Error("no end");
  const start = events[0]!;
  if (start.type !== "start") throw new Error("no start");
  const texts = events.flatMap((event) => (event.type === "token" ? [event.token.text] : []));
  return { start, end, texts };
}

describe("an answer that goes on behind a prefix", () => {
  it("has the texts, ids and end of the whole, wherever it was cut: characters and stop sequences span the seam", async () => {
    const tokens = fc.array(fc.integer({ min: 1, max: PIECES.length - 1 }), { minLength: 2, maxLength: 24 });
    const stops = fc.array(fc.constantFrom("aba", "bb", "€b", "abab", "aab😀"), { maxLength: 3 });
    await fc.assert(
      fc.asyncProperty(tokens, stops, fc.boolean(), fc.nat(), async (script, stop, stopped, at) => {
        const ids = stopped ? [...script, STOP] : script;
        const whole = await run(ids, stop, []);
        const length = whole.end.tokenIds.length;
        if (length < 2) return;
        const cut = 1 + (at % (length - 1));
        const { start, end, texts } = await run(ids, stop, ids.slice(0, cut));
        expect(texts).toEqual(whole.texts.slice(cut));
        expect(end.text).toBe(texts.join(""));
        expect(end.tokenIds).toEqual(whole.end.tokenIds.slice(cut));
        expect(end.finishReason).toBe(whole.end.finishReason);
        expect(start.promptIds).toEqual([1, 2, 3, ...ids.slice(0, cut)]);
        // What the executor needs to end its part itself when its reader leaves.
        const prefixText = whole.texts.slice(0, cut).join("");
        expect(start.prefix?.told).toBe(prefixText.length);
      }),
      { numRuns: 500 },
    );
  });

  it("is refused when the prefix has ended the answer already", async () => {
    await expect(run([3, 1, 1], ["ab"], [3])).rejects.toMatchObject({ code: "invalid_request" });
    await expect(run([1, STOP, 1], [], [1, STOP])).rejects.toMatchObject({ code: "invalid_request" });
    await expect(run([1, 1, 1], [], [99])).rejects.toMatchObject({ code: "invalid_request" });
  });
});
