import { once } from "node:events";
import { request } from "node:http";
import { encodeApiKey } from "@karat/client";
import { newPrivateKey } from "@karat/common";
import OpenAI, { APIError } from "openai";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startNetwork, type TestNetwork } from "./support.ts";

let net: TestNetwork;
beforeAll(async () => {
  net = await startNetwork("--participants", "2");
});
afterAll(() => net?.close());

const model = "karat-tiny";
const messages = [{ role: "user" as const, content: "What does os.rename() do?" }];

async function refusal(call: Promise<unknown>): Promise<APIError> {
  const error = await call.then(
    () => undefined,
    (e: unknown) => e,
  );
  if (!(error instanceof APIError)) throw new Error(`expected an API error, got ${String(error)}`);
  return error;
}

const withKey = (apiKey: string): OpenAI => new OpenAI({ baseURL: net.network.endpoint, apiKey, maxRetries: 0 });

test("a wrong key is a 401 invalid_api_key", async () => {
  const error = await refusal(withKey("sk-wrong").chat.completions.create({ model, messages }));
  expect([error.status, error.code]).toEqual([401, "invalid_api_key"]);
});

test("an account without a deposit is a 402 insufficient_deposit that no client retries", async () => {
  const error = await refusal(withKey(encodeApiKey(newPrivateKey())).chat.completions.create({ model, messages }));
  expect([error.status, error.code]).toEqual([402, "insufficient_deposit"]);
  expect(error.headers?.get("x-should-retry")).toBe("false");
});

test("an unknown model is a 404 model_not_found", async () => {
  const error = await refusal(net.openai.chat.completions.create({ model: "gpt-unknown", messages }));
  expect([error.status, error.code]).toEqual([404, "model_not_found"]);
});

test.each([
  ["temperature", { model, messages, temperature: 3 }],
  ["n", { model, messages, n: 2 }],
  ["messages", { model, messages: [] }],
])("a bad %s is a 400 that names it", async (param, body) => {
  const error = await refusal(net.openai.chat.completions.create(body as never));
  expect([error.status, error.param]).toEqual([400, param]);
});

test("a prompt over the context is a 400 context_length_exceeded", async () => {
  const long = [{ role: "user" as const, content: "word ".repeat(3_000) }];
  const error = await refusal(net.openai.chat.completions.create({ model, messages: long }));
  expect([error.status, error.code]).toEqual([400, "context_length_exceeded"]);
});

test.each(["", "{", "[]", "null", '{"model":1}'])("the body %s is a 400 with an error object", async (body) => {
  const url = new URL(`${net.network.endpoint}/chat/completions`);
  const headers = {
    "content-type": "application/json",
    authorization: `Bearer ${net.network.apiKey}`,
    "content-length": String(body.length),
  };
  const outgoing = request(url, { method: "POST", headers });
  outgoing.end(body);
  const [incoming] = await once(outgoing, "response");
  let text = "";
  for await (const chunk of incoming) text += chunk;
  expect(incoming.statusCode).toBe(400);
  expect(JSON.parse(text).error).toMatchObject({ type: "invalid_request_error" });
});

test("an unknown path is a 404 with an error object", async () => {
  const answer = await fetch(`${net.network.endpoint}/nothing`, {
    headers: { authorization: `Bearer ${net.network.apiKey}` },
  });
  expect(answer.status).toBe(404);
  expect((await answer.json()) as object).toHaveProperty("error.message");
});
