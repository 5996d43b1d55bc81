/** Constrained answers of a real model: valid by construction, checked like any other, and no way out for a cheat. */
import { utf8 } from "@karat/common";
import { type Constraint, DEFAULT_SAMPLING, type Profile, readAnswer, sanitizeRequest, sha256 } from "@karat/rules";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { launder } from "../attack/attack.ts";
import { collect } from "../collect.ts";
import type { GenerateJob, InferenceEngine } from "../engine/engine.ts";
import { createLlamaEngine } from "../engine/llama/llamaEngine.ts";
import { answer } from "./answer.ts";
import { buildArtifact, codingOf, promptHash } from "./artifact.ts";
import { Prefills } from "./prefills.ts";
import { loadProfile } from "./profile.ts";
import { constraintField, inputOf } from "./requests.ts";
import type { Delivered, ScoreRequest } from "./scoreRequest.ts";
import { scoreAnswer } from "./scoring.ts";
import type { ScoreResult } from "./verdicts.ts";

const models = new URL("../../../models/", import.meta.url).pathname;
let honest: InferenceEngine;
let small: InferenceEngine;
let profile: Profile;

beforeAll(async () => {
  const open = (file: string) => createLlamaEngine({ modelPath: `${models}${file}`, id: "karat-tiny" });
  [honest, small] = await Promise.all([open("karat-tiny-f16.gguf"), open("karat-mini-f16.gguf")]);
  profile = await loadProfile(`${models}profiles/karat-tiny-f16.json`);
});
afterAll(() => Promise.all([honest, small].map((engine) => engine?.close())));

const messages = [{ role: "user", content: "What does os.path.join() do?" }];
const person = {
  type: "object",
  properties: {
    name: { type: "string", maxLength: 40 },
    age: { type: "integer", minimum: 0, maximum: 130 },
    tags: { type: "array", items: { enum: ["a", "b"] }, maxItems: 3 },
    note: { type: ["string", "null"] },
  },
  required: ["name", "age", "tags", "note"],
  additionalProperties: false,
};
const FORMAT = {
  response_format: { type: "json_schema", json_schema: { name: "person", strict: true, schema: person } },
};
const tool = (name: string) => ({ type: "function", function: { name, parameters: person } });

interface Order {
  fields: Record<string, unknown>;
  maxTokens?: number;
  seed?: number;
  temperature?: number;
  /** The constraint that the executor follows, where it is not the request's. */
  obeyed?: Constraint | undefined;
}

interface Delivery {
  request: ScoreRequest & { delivered: Delivered };
  text: string;
}

async function deliver(executor: InferenceEngine, order: Order): Promise<Delivery> {
  const { fields, maxTokens = 120, seed = 1, temperature = 0.8 } = order;
  const sanitized = sanitizeRequest({ model: "karat-tiny", messages, ...fields });
  const input = inputOf(sanitized);
  const constraint = constraintField(sanitized);
  const sampling = { ...DEFAULT_SAMPLING, temperatureMicros: Math.round(temperature * 1_000_000) };
  const bound = { sampling, seed: new Uint8Array(32).fill(seed), inferenceId: new Uint8Array(32).fill(9) };
  const coding = codingOf(profile);
  const obeyed = "obeyed" in order ? (order.obeyed ? { constraint: order.obeyed } : {}) : constraint;
  const events = await collect(
    answer(executor, { input, maxTokens, stop: [], ...obeyed, ...bound, topLogprobs: 0, recordTop: coding.k }),
  );
  const end = events.at(-1);
  if (end?.type !== "end") throw new Error("no end");
  const { artifact, root } = buildArtifact(coding, end, bound);
  return {
    text: end.text,
    request: {
      model: "karat-tiny",
      ...bound,
      asked: { input, maxTokens, stop: [], ...constraint },
      prefixIds: [],
      pooled: [],
      delivered: {
        tokenIds: end.tokenIds,
        finishReason: end.finishReason,
        artifact,
        artifactRoot: root,
        outputHash: sha256(utf8(end.text)),
        promptHash: promptHash(end.promptIds),
        promptTokens: end.promptIds.length,
      },
    },
  };
}

const score = (request: ScoreRequest): Promise<ScoreResult> =>
  scoreAnswer({ engine: honest, profile, prefills: new Prefills() }, request);

describe("an honest executor", () => {
  it("gives a value of the schema, ends by itself, and passes", async () => {
    const results: ScoreResult[] = [];
    for (let seed = 1; seed <= 12; seed++) {
      const { request, text } = await deliver(honest, { fields: FORMAT, seed, temperature: seed % 4 === 0 ? 0 : 0.9 });
      expect(request.delivered.finishReason).toBe("stop");
      const value = JSON.parse(text);
      expect(Object.keys(value)).toEqual(["name", "age", "tags", "note"]);
      expect(value.age).toBeLessThanOrEqual(130);
      results.push(await score(request));
    }
    expect(results.filter(({ verdict }) => verdict === "fail")).toEqual([]);
    expect(results.filter(({ verdict }) => verdict === "pass").length).toBeGreaterThan(6);
  });

  it("calls a function where it has to, in as few tokens as there are", async () => {
    const fields = { tools: [tool("first"), tool("second")], tool_choice: "required", parallel_tool_calls: false };
    for (const maxTokens of [70, 200]) {
      const { request, text } = await deliver(honest, { fields, maxTokens, seed: maxTokens });
      expect(request.delivered.finishReason).toBe("stop");
      const { text: plain, calls } = readAnswer(text);
      expect(plain).toBeNull();
      expect(["first", "second"]).toContain(calls[0]!.name);
      expect(typeof JSON.parse(calls[0]!.arguments).name).toBe("string");
      expect((await score(request)).verdict).not.toBe("fail");
    }
  });

  it("passes with tools it need not call, with any JSON, and with a bias", async () => {
    const orders: Order[] = [
      { fields: { tools: [tool("first")] } },
      { fields: { response_format: { type: "json_object" } } },
      { fields: { logit_bias: { 300: 8, 301: -100, 11: -4.5 } } },
      { fields: { ...FORMAT, logit_bias: { 300: 8, 301: -100 } } },
    ];
    for (const order of orders) {
      const { request } = await deliver(honest, { ...order, seed: 3 });
      expect((await score(request)).verdict, JSON.stringify(order.fields).slice(0, 60)).not.toBe("fail");
    }
    const banned = await deliver(honest, { fields: { logit_bias: { 2047: -100 } }, maxTokens: 30, temperature: 0 });
    expect(banned.request.delivered.tokenIds).not.toContain(2047);
  });

  it("is cut off by a maximum that is too small, like any answer", async () => {
    const { request } = await deliver(honest, { fields: FORMAT, maxTokens: 9 });
    expect(request.delivered.finishReason).toBe("length");
    expect((await score(request)).verdict).not.toBe("fail");
  });
});

it("an honest executor writes to patterns and formats, and passes", async () => {
  const properties = {
    code: { type: "string", pattern: "^[A-Z]{2}-\\d{3}$" },
    word: { type: "string", pattern: "a", minLength: 3, maxLength: 12 },
    day: { type: "string", format: "date" },
    mail: { type: "string", format: "email", maxLength: 20 },
  };
  const schema = { type: "object", properties, required: Object.keys(properties), additionalProperties: false };
  const format = { type: "json_schema", json_schema: { name: "row", strict: true, schema } };
  for (let seed = 1; seed <= 6; seed++) {
    const fields = { response_format: format };
    const { request, text } = await deliver(honest, { fields, seed, temperature: seed % 3 === 0 ? 0 : 1 });
    expect(request.delivered.finishReason).toBe("stop");
    const row = JSON.parse(text);
    expect(row.code).toMatch(/^[A-Z]{2}-\d{3}$/);
    expect(row.word).toMatch(/^(?=.{3,12}$).*a/s);
    expect(row.day).toMatch(/^\d{4}-\d\d-\d\d$/);
    expect(row.mail).toMatch(/^(?=.{6,20}$)[^@]+@[^@]+$/);
    expect((await score(request)).verdict).not.toBe("fail");
    const lax = await deliver(honest, { fields, seed, obeyed: undefined });
    expect(await score(lax.request)).toMatchObject({ verdict: "fail", reason: "constraint" });
  }
});

describe("a cheating executor", () => {
  it("fails when it does not keep to the constraint", async () => {
    const { request } = await deliver(honest, { fields: FORMAT, obeyed: undefined });
    expect(await score(request)).toMatchObject({ verdict: "fail", reason: "constraint" });
    const bias = { logit_bias: { 2047: -100 } };
    const unbiased = await deliver(honest, { fields: bias, obeyed: undefined, temperature: 0, maxTokens: 100 });
    expect((await score(unbiased.request)).verdict).toBe("fail");
  });

  it("fails when another model writes what the grammar allows, laundered or not", async () => {
    let [swapped, laundered] = [0, 0];
    const runs = 5;
    for (let seed = 1; seed <= runs; seed++) {
      const order = { fields: FORMAT, seed, maxTokens: 160, temperature: 1 };
      if ((await score((await deliver(small, order)).request)).verdict === "fail") swapped++;
      if ((await score((await deliver(launder(honest, small), order)).request)).verdict === "fail") laundered++;
    }
    expect(swapped).toBeGreaterThanOrEqual(runs - 1);
    expect(laundered).toBeGreaterThanOrEqual(2);
  });

  it("gains no evidence in its favour from tokens that were forced", async () => {
    const fields = { tools: [{ type: "function", function: { name: "f" } }], tool_choice: "required" };
    const { request } = await deliver(honest, { fields, maxTokens: 60 });
    const { statistics } = await score(request);
    expect(statistics.positions).toBeGreaterThan(0);
    expect(statistics.positions).toBeLessThan(request.delivered.tokenIds.length);
  });
});

it("an engine is asked for nothing else by a constraint than which tokens may be chosen", async () => {
  const promptIds = await honest.render({ messages: [{ role: "user", content: "Hi" }] });
  const { constraint } = constraintField(sanitizeRequest({ model: "m", messages, ...FORMAT }));
  const job: GenerateJob = {
    promptIds,
    maxTokens: 60,
    sampling: DEFAULT_SAMPLING,
    seed: new Uint8Array(32).fill(5),
    top: 20,
    constraint: constraint!,
  };
  const tokens = await collect(honest.generate(job));
  for (const token of tokens) expect(token.top).toHaveLength(20);
  // Another executor that goes on behind the first tokens comes to the same rest; a prefix that breaks the constraint is refused.
  const prefixIds = tokens.slice(0, 7).map(({ id }) => id);
  const rest = await collect(honest.generate({ ...job, prefixIds }));
  expect(rest.map(({ id }) => id)).toEqual(tokens.slice(7).map(({ id }) => id));
  const broken = collect(honest.generate({ ...job, prefixIds: [tokens[0]!.id === 300 ? 301 : 300] }));
  await expect(broken).rejects.toMatchObject({ code: "unsupported_constraint" });
  const outputIds = tokens.map(({ id }) => id);
  const positions = await honest.score({
    promptIds,
    outputIds,
    top: 70,
    constrained: { constraint: constraint!, maxTokens: 60 },
  });
  for (const [i, { id, logprob }] of tokens.entries()) {
    expect(Math.abs(positions[i]!.find((entry) => entry.id === id)!.logprob - logprob)).toBeLessThan(0.2);
  }
});
