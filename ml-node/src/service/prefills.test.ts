import { expect, test } from "vitest";
import type { InferenceEngine } from "../engine/engine.ts";
import { Prefills } from "./prefills.ts";

const DIMENSIONS = 8_192;

/** Counts what it is asked. */
function counting(): { engine: InferenceEngine; asked: () => number } {
  let asked = 0;
  const engine = {
    info: () => ({ weightsSha256: "00".repeat(32), embeddingDimensions: DIMENSIONS }),
    embed: async ({ inputs }: { inputs: readonly (readonly number[])[] }) => {
      asked++;
      if (inputs[0]?.[0] === 0) throw new Error("failed");
      return inputs.map(() => new Float32Array(DIMENSIONS));
    },
  };
  return { engine: engine as unknown as InferenceEngine, asked: () => asked };
}

test("vectors of hundreds of thousands of tokens are made once", async () => {
  const { engine, asked } = counting();
  const prefills = new Prefills();
  const inputs = [new Array<number>(150_000).fill(5), new Array<number>(150_000).fill(6)];
  const vectors = await prefills.vectorsOf(engine, inputs);
  expect(await prefills.vectorsOf(engine, inputs)).toBe(vectors);
  expect(asked()).toBe(1);
  // Where one input ends and the next begins is part of what they are.
  await prefills.vectorsOf(engine, [inputs.flat()]);
  expect(asked()).toBe(2);
});

test("vectors are kept within a bound and for a time, failures not at all", async () => {
  const { engine, asked } = counting();
  let now = 0;
  const prefills = new Prefills(() => now);
  const inputs = (id: number) => Array.from({ length: 32 }, () => [id]); // a sixteenth of what is kept
  for (let id = 1; id <= 17; id++) await prefills.vectorsOf(engine, inputs(id));
  await prefills.vectorsOf(engine, inputs(17));
  expect(asked()).toBe(17);
  await prefills.vectorsOf(engine, inputs(1));
  expect(asked()).toBe(18);
  now += 3_600_000;
  await prefills.vectorsOf(engine, inputs(1));
  expect(asked()).toBe(19);
  for (let i = 0; i < 2; i++) await expect(prefills.vectorsOf(engine, inputs(0))).rejects.toThrow("failed");
  expect(asked()).toBe(21);
});
