/** A24: a false answer whose request or delivery is such that the validator's engine cannot or should not compute. */
import { isKaratError, sha256, toBase64, toHex, utf8 } from "@karat/common";
import { DEFAULT_SAMPLING, isRuleError } from "@karat/rules";
import { swap } from "../../ml-node/src/attack/attack.ts";
import { collect } from "../../ml-node/src/collect.ts";
import { answer } from "../../ml-node/src/service/answer.ts";
import { buildArtifact, codingOf, promptHash } from "../../ml-node/src/service/artifact.ts";
import { Prefills } from "../../ml-node/src/service/prefills.ts";
import { readScoreRequest } from "../../ml-node/src/service/scoreRequest.ts";
import { scoreAnswer } from "../../ml-node/src/service/scoring.ts";
import type { Lab } from "./lab.ts";

type Body = Record<string, unknown>;

/** What the client may have asked, or the executor delivered, to break the check. */
const BREAKS: readonly ((body: Body) => Body)[] = [
  (body) => body, // nothing broken: the answer fails for what it is
  (body) => ({ ...body, prompt: "word ".repeat(2_000) }),
  (body) => ({ ...body, prompt: 7 }),
  (body) => ({ ...body, prompt: undefined, messages: [{ role: "nobody", content: "x" }] }),
  (body) => ({ ...body, prompt: undefined, messages: [] }),
  (body) => ({
    ...body,
    response_format: { type: "json_schema", json_schema: { name: "x", schema: { $ref: "#/nowhere" } } },
  }),
  (body) => ({ ...body, stop: ["x".repeat(10_000)] }),
  (body) => ({ ...body, max_tokens: -1 }),
  (body) => ({ ...body, token_ids: [] }),
  (body) => ({ ...body, token_ids: [1e9] }),
  (body) => ({ ...body, token_ids: ["1"] }),
  (body) => ({ ...body, finish_reason: "because" }),
  (body) => ({ ...body, artifact: "§" }),
  (body) => ({ ...body, artifact: "" }),
  (body) => ({ ...body, artifact_root: "00".repeat(32) }),
  (body) => ({ ...body, prompt_hash: "00" }),
  (body) => ({ ...body, prompt_tokens: "4" }),
  (body) => ({ ...body, output_hash: "00".repeat(32) }),
  (body) => ({ ...body, prefix_token_ids: [1e9] }),
  (body) => ({ ...body, sampling: { ...(body.sampling as object), topK: 1e6 } }),
  (body) => ({ ...body, seed: "short" }),
];

/** How many of `count` false answers were not passed; a request that the node refuses is abstained from by the sidecar. */
export async function hidden(count: number, lab: Lab): Promise<number> {
  const executor = swap(lab.declared, lab.mini);
  const context = { engine: lab.declared, profile: lab.profile, prefills: new Prefills() };
  let notPassed = 0;
  for (let i = 0; i < count; i++) {
    const body = BREAKS[i % BREAKS.length]!(await falseAnswer(lab, executor, i));
    try {
      if ((await scoreAnswer(context, readScoreRequest(body))).verdict !== "pass") notPassed++;
    } catch (error) {
      if (!isKaratError(error) && !isRuleError(error)) throw error;
      notPassed++;
    }
  }
  return notPassed;
}

/** The body of a score request for an answer of the mini model. */
async function falseAnswer(lab: Lab, executor: typeof lab.declared, i: number): Promise<Body> {
  const sampling = { ...SAMPLING };
  const bound = { sampling, seed: sha256(utf8(`seed ${i}`)), inferenceId: sha256(utf8(`id ${i}`)) };
  const coding = codingOf(lab.profile);
  const prompt = `The following function (${i})`;
  const asked = { input: { prompt }, maxTokens: 48, stop: [], prefixIds: [] };
  const events = await collect(answer(executor, { ...asked, ...bound, topLogprobs: 0, recordTop: coding.k }));
  const end = events.at(-1);
  if (end?.type !== "end") throw new Error("the answer has no end");
  const { artifact, root } = buildArtifact(coding, end, bound);
  return {
    model: "karat-tiny-f16",
    sampling,
    seed: toHex(bound.seed),
    inference_id: toHex(bound.inferenceId),
    prompt,
    max_tokens: 48,
    token_ids: end.tokenIds,
    finish_reason: end.finishReason,
    output_hash: toHex(sha256(utf8(end.text))),
    prompt_hash: toHex(promptHash(end.promptIds)),
    prompt_tokens: end.promptIds.length,
    artifact: toBase64(artifact),
    artifact_root: toHex(root),
  };
}

const SAMPLING = { ...DEFAULT_SAMPLING, temperatureMicros: 700_000 };
