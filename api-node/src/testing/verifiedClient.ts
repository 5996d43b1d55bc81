/** The openai package behind `verifiedFetch`, and what tests ask with it. */
import { verifiedFetch } from "@karat/client";
import OpenAI from "openai";
import { TEST_MODEL } from "./fakeView.ts";
import type { TestNetwork, TestParticipant } from "./testNetwork.ts";

export const messages = [{ role: "user" as const, content: "Say hello." }];
export const question = { model: TEST_MODEL, messages };
export const prompt = { model: TEST_MODEL, prompt: "Say" };
export const response = { model: TEST_MODEL, instructions: "Be brief.", input: "Say hello." };
export const tool = { type: "function" as const, function: { name: "weather", parameters: { type: "object" } } };
export const flatTool = { type: "function" as const, name: "weather", parameters: { type: "object" }, strict: null };

export function verifiedClient(
  network: TestNetwork,
  me: TestParticipant,
  options: Partial<Parameters<typeof verifiedFetch>[0]> = {},
): OpenAI {
  const nodeKeyOf = async (who: string) =>
    network.participants.find(({ identity }) => identity.operator === who)?.identity.publicKey;
  const fetch = verifiedFetch({ chainId: network.view.chainId, nodeKeyOf, ...options });
  return new OpenAI({ baseURL: `${me.url}/v1`, apiKey: network.apiKey, maxRetries: 0, fetch });
}

/** The code of the error, which the SDK hides behind one of its own, and the field that it names. */
export async function failureOf(call: Promise<unknown>): Promise<unknown> {
  const error: unknown = await call.then(
    () => undefined,
    (reason) => reason,
  );
  const cause = error instanceof OpenAI.APIConnectionError ? error.cause : error;
  const { code, data } = cause as { code?: string; data?: { field?: string } };
  return data?.field === undefined ? code : [code, data.field];
}

export async function streamed(sdk: OpenAI, more: object = {}): Promise<string> {
  let text = "";
  const stream = await sdk.chat.completions.create({ ...question, stream: true, ...more });
  for await (const chunk of stream) text += chunk.choices[0]?.delta.content ?? "";
  return text;
}

export async function streamedText(sdk: OpenAI, more: object = {}): Promise<string> {
  let text = "";
  const stream = await sdk.completions.create({ ...prompt, stream: true, ...more });
  for await (const chunk of stream) text += chunk.choices[0]?.text ?? "";
  return text;
}

/** Every text that a stream of a response has shown in pieces. */
export async function streamedResponse(sdk: OpenAI, more: object = {}): Promise<string> {
  let text = "";
  const stream = await sdk.responses.create({ ...response, stream: true, ...more });
  for await (const event of stream) if (event.type === "response.output_text.delta") text += event.delta;
  return text;
}

/** Something between the node and its client that changes what passes. */
export const through =
  (change: (body: string) => string): typeof fetch =>
  async (input, init) => {
    const answer = await fetch(input, init);
    const { status, headers } = answer;
    return new Response(change(await answer.text()), { status, headers });
  };
