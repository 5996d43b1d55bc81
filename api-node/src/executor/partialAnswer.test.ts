import { sha256, utf8 } from "@karat/common";
import { artifactRoot, DEFAULT_SAMPLING, decodeArtifact } from "@karat/rules";
import { expect, test } from "vitest";
import { cancelledAnswer } from "./partialAnswer.ts";
import type { TokenLine } from "./protocol.ts";

const token = (id: number, bytes: number[], text: string, logprob = -1): TokenLine => ({
  type: "token",
  id,
  token: text,
  text,
  bytes,
  logprob,
  top: [1, 2, 3, 4].map((other) => ({ id: other, token: "", bytes: [], logprob: -other / 4 })),
});

test("an answer that was cut off is recorded as a validator will read it off its tokens", () => {
  const parts = {
    coding: { step: "1/16", k: 2 } as const,
    inferenceId: sha256(utf8("id")),
    seed: sha256(utf8("seed")),
    sampling: DEFAULT_SAMPLING,
    promptTokens: 7,
    promptHash: "ab".repeat(32),
    // The last character is not complete: the ML node held its text back.
    tokens: [token(1, [0x61], "a", -0.25), token(9, [0xc3], "", -3)],
  };
  const answer = cancelledAnswer(parts);
  expect(answer.text).toBe("a\ufffd");
  expect(answer.tokenIds).toEqual([1, 9]);
  const artifact = decodeArtifact(answer.artifact, { length: 2, vocabularySize: 10 });
  expect(artifact).toMatchObject({ step: "1/16", k: 2 });
  // The chosen token's value is there even where it is not among the likely ones.
  expect(artifact.positions[1]).toMatchObject({ rank: 2, values: [-0.25, -0.5, -3] });
  const positions = artifact.positions.map((position, i) => ({ ...position, id: answer.tokenIds[i] ?? -1 }));
  const { inferenceId, seed, sampling: params } = parts;
  expect(answer.artifactRoot).toEqual(
    artifactRoot({ ...artifact, positions, inferenceId, seed, params, promptHash: answer.promptHash }),
  );
});
