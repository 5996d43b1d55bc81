/** Embeddings over HTTP, with the real small model: as an OpenAI server and as an executor. */
import { fromBase64, silentLogger, toHex } from "@karat/common";
import { decodeVectors, sha256, tokensHash, vectorBytes, vectorDistance, vectorsRoot } from "@karat/rules";
import OpenAI from "openai";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { readConfig } from "./config.ts";
import { type MlNode, startMlNode } from "./node.ts";
import { api, type Line } from "./testing.ts";

const model = "karat-tiny-f16";
const DIMENSIONS = 160;
const input = ["Return the absolute value of a number.", "os.path.join(path)", "a"];
const inference_id = "22".repeat(32);

let node: MlNode;
let url: string;
let client: OpenAI;

beforeAll(async () => {
  node = await startMlNode(readConfig(["--port", "0", "--drain-ms", "2000"], {}), silentLogger);
  url = `http://127.0.0.1:${node.port}`;
  client = new OpenAI({ baseURL: `${url}/v1`, apiKey: "none", maxRetries: 0 });
});
afterAll(() => node?.close());

async function generate(body: Line): Promise<Line[]> {
  const reply = await fetch(`${url}/karat/v1/generate`, {
    method: "POST",
    body: JSON.stringify({ model, inference_id, ...body }),
  });
  const text = await reply.text();
  if (reply.status !== 200) throw new Error(text);
  return text
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as Line);
}

describe("an executor's embedding", () => {
  it("is an answer of one token for each text: the ids that are read, the vectors, what commits to them", async () => {
    const asked = await api(url, "/karat/v1/models");
    expect(asked.json).toMatchObject({ models: [{ id: model, embedding: { dimensions: DIMENSIONS } }] });
    const { json } = await api(url, "/karat/v1/tokenize", { input });
    const each = await Promise.all(input.map((prompt) => api(url, "/karat/v1/tokenize", { prompt })));
    const ids = each.map((one) => one.json.prompt_token_ids as number[]);
    expect(json).toMatchObject({ prompt_token_ids: ids.flat(), counts: ids.map(({ length }) => length) });

    const [start, end, ...more] = await generate({ input, max_tokens: 3 });
    expect(more).toEqual([]);
    const prompt_tokens = ids.flat().length;
    const promptHash = tokensHash(ids.flat());
    expect(start).toEqual({ type: "start", prompt_tokens, prompt_hash: toHex(promptHash), max_tokens: 3 });
    const artifact = fromBase64(end!.artifact as string);
    expect(end).toMatchObject({
      type: "end",
      finish_reason: "length",
      usage: { prompt_tokens, completion_tokens: 3 },
      token_ids: ids.map((one) => one.at(-1)),
      text: "",
      output_hash: toHex(sha256(new Uint8Array())),
      artifact_root: toHex(
        vectorsRoot({ inferenceId: Buffer.from(inference_id, "hex"), promptHash, dimensions: DIMENSIONS, artifact }),
      ),
    });
    const vectors = decodeVectors(artifact, { count: 3, dimensions: DIMENSIONS });
    expect(vectorDistance(vectors[0]!, vectors[1]!)).toBeGreaterThan(0.1);
    expect((await generate({ input }))[1]!.artifact).toBe(end!.artifact);
  });

  it.each([
    ["another number of tokens", { input, max_tokens: 2 }, "invalid_request", "max_tokens"],
    ["a prefix", { input, prefix_token_ids: [5] }, "invalid_request", "prefix_token_ids"],
    ["no text", { input: [] }, "invalid_request", "input"],
    ["an empty text", { input: [""] }, "invalid_request", "input"],
    ["more than an answer holds", { input: Array(1_639).fill("a") }, "invalid_request", "input"],
    ["a text longer than the context", { input: ["a", "word ".repeat(1_100)] }, "context_length_exceeded", "input"],
    ["a text far longer than that", { input: ["a", "word ".repeat(90_000)] }, "context_length_exceeded", "input"],
    ["no inference", { input, inference_id: "22" }, "invalid_request", "inference_id"],
    ["another model", { input, model: "gpt-5" }, "model_not_found", "model"],
  ])("is refused for %s", async (_, body, code, param) => {
    const reply = await api(url, "/karat/v1/generate", { model, inference_id, ...body });
    expect(reply.json).toMatchObject({ error: { code, param } });
  });

  it("is counted as answers are", async () => {
    const count = async (): Promise<number> => {
      const text = await (await fetch(`${url}/metrics`)).text();
      return Number(/karat_ml_completion_tokens_total (\d+)/.exec(text)?.[1] ?? 0);
    };
    const before = await count();
    await generate({ input });
    expect(await count()).toBe(before + 3);
  });
});

describe("the OpenAI surface", () => {
  it("gives the vectors of the artifact, as numbers and in base64", async () => {
    const [, end] = await generate({ input });
    const vectors = decodeVectors(fromBase64(end!.artifact as string), { count: 3, dimensions: DIMENSIONS });
    const float = await client.embeddings.create({ model, input, encoding_format: "float" });
    expect(float.data.map(({ embedding }) => Float32Array.from(embedding))).toEqual(vectors);
    expect(float).toMatchObject({ object: "list", model, usage: { total_tokens: float.usage.prompt_tokens } });
    // The package asks for base64 by itself.
    const packed = await client.embeddings.create({ model, input: input[0]! });
    expect(packed.data.map(({ embedding }) => Float32Array.from(embedding))).toEqual([vectors[0]]);
    const { json } = await api(url, "/v1/embeddings", { model, input, encoding_format: "base64" });
    const [first] = json.data as { embedding: string }[];
    expect(fromBase64(first!.embedding)).toEqual(vectorBytes(vectors[0]!));
  });

  it("refuses what is not offered", async () => {
    const refused: [Line, string][] = [
      [{ dimensions: DIMENSIONS + 1 }, "dimensions"],
      [{ encoding_format: "int8" }, "encoding_format"],
      [{ stream: true }, "stream"],
      [{ input: [[1, 2]] }, "input"],
      [{ model: "gpt-5" }, "model"],
    ];
    for (const [fields, param] of refused) {
      const { status, json } = await api(url, "/v1/embeddings", { model, input, ...fields });
      expect([param, status]).toEqual([param, param === "model" ? 404 : 400]);
      expect(json).toMatchObject({ error: { param } });
    }
    expect((await api(url, "/v1/embeddings", { model, input, dimensions: DIMENSIONS })).status).toBe(200);
  });
});
