import { fromBase64, KaratError, toHex } from "@karat/common";
import {
  chatOfResponses,
  isRuleError,
  readAnswer,
  requestHash,
  type SanitizedRequest,
  sanitizeRequest,
} from "@karat/rules";
import { type ListedPart, mismatch, receivedParts, verifyDelivery } from "./delivery.ts";
import { EventReader, eventText } from "./eventStream.ts";
import { type Shown, ShownAnswer } from "./shownAnswer.ts";
import { ShownResponse } from "./shownResponse.ts";

export interface VerifiedFetchOptions {
  readonly chainId: string;
  /** An operator's registered node key; undefined where there is no such participant. `ChainQueries.participant` knows. */
  readonly nodeKeyOf: (operator: string) => Promise<Uint8Array | undefined>;
  /** Models by other names that the API node's operator gives them: only what is listed here is taken for the same. */
  readonly aliases?: Readonly<Record<string, string>>;
  /** Default: the platform's. */
  readonly fetch?: typeof fetch;
}

/** The field `karat` of an answer, as far as it is looked at here. */
interface Receipt {
  readonly inference_id: string;
  readonly transfer_agent: string;
  readonly receipt: string;
  readonly signature: string;
  readonly parts?: readonly ListedPart[];
  /** With functions to call: the answer as the model wrote it. */
  readonly text?: string;
}

type Fields = Readonly<Record<string, unknown>>;
type Verify = (shown: Shown<never, never>) => Promise<void>;

const ANSWERING = /\/v1\/(chat\/completions|completions|responses)$/;

/**
 * A `fetch` for the openai package (`new OpenAI({ fetch: verifiedFetch(…) })`) that compares every answer with the transfer agent's signed
 * receipt: request and answer by their hashes, usage, parts, chain. An answer comes when it fits; of a stream, the event that carries the
 * receipt does. Otherwise KaratError `receipt_missing`, `receipt_mismatch` {field} or `malformed_stream` comes in its place. Errors of the
 * node pass as they are.
 */
export function verifiedFetch(options: VerifiedFetchOptions): typeof fetch {
  const send = options.fetch ?? fetch;
  return async (input, init) => {
    const request = new Request(input, init);
    const endpoint = ANSWERING.exec(new URL(request.url).pathname)?.[1];
    if (endpoint === undefined || request.method !== "POST") return await send(input, init);
    const sent = await request.text();
    const response = await send(input, { ...init, method: "POST", headers: request.headers, body: sent });
    if (!response.ok) return response;
    const verify: Verify = (shown) => verifyShown(options, endpoint, sent, shown);
    const type = response.headers.get("content-type") ?? "";
    const body = type.startsWith("text/event-stream") ? response.body! : await response.text();
    return endpoint === "responses"
      ? await checked(response, body, new ShownResponse(), verify)
      : await checked(response, body, new ShownAnswer({ chat: endpoint === "chat/completions" }), verify);
  };
}

/** The same response, with its stream or its whole body looked at on its way. */
async function checked<Event extends object, Whole extends object>(
  { status, statusText, headers }: Response,
  body: string | ReadableStream<Uint8Array>,
  shown: Shown<Event, Whole>,
  verify: Verify,
): Promise<Response> {
  if (typeof body !== "string") {
    return new Response(body.pipeThrough(checkedEvents(shown, verify)), { status, statusText, headers });
  }
  shown.addWhole(parsed<Whole>(body));
  await verify(shown);
  return new Response(body, { status, statusText, headers });
}

/** Events pass one by one; the one with the receipt when all of the answer fits, and nothing behind it or behind an error. */
function checkedEvents<Event extends object>(
  shown: Shown<Event, never>,
  verify: Verify,
): TransformStream<Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>> {
  const [reader, encoder] = [new EventReader(), new TextEncoder()];
  let verified = false;
  const requireOver = (): void => {
    if (!verified && !shown.failed) throw missing();
  };
  return new TransformStream({
    async transform(bytes, controller) {
      for (const event of reader.push(bytes)) {
        // Readers go no further than this.
        if (event.data === "[DONE]") requireOver();
        else {
          if (verified || shown.failed) throw mismatch("events");
          shown.add(parsed<Event>(event.data));
          if (shown.ended || shown.karat !== undefined) {
            await verify(shown);
            verified = true;
          }
        }
        controller.enqueue(encoder.encode(eventText(event)));
      }
    },
    flush: requireOver,
  });
}

async function verifyShown(
  { chainId, nodeKeyOf, aliases = {} }: VerifiedFetchOptions,
  endpoint: string,
  sent: string,
  shown: Shown<never, never>,
): Promise<void> {
  const karat = shown.karat as Receipt | undefined;
  if (!karat) throw missing();
  const asked = askedFor(endpoint, JSON.parse(sent) as Fields, aliases);
  // Only an answer that may call functions is read for calls.
  const text = asked.tools === undefined ? shown.text : (karat.text ?? "");
  const said = asked.tools === undefined ? { text, calls: [] } : readAnswer(text);
  if ((said.text ?? "") !== shown.text) throw mismatch("text");
  if (JSON.stringify(said.calls) !== JSON.stringify(shown.calls)) throw mismatch("tool_calls");
  const nodeKey = await nodeKeyOf(karat.transfer_agent);
  if (!nodeKey) throw mismatch("transfer_agent");
  const receipt = verifyDelivery({
    requestHash: requestHash(asked),
    text,
    receipt: fromBase64(karat.receipt),
    signature: fromBase64(karat.signature),
    nodeKey,
    parts: receivedParts(karat.parts),
  });
  if (receipt.chainId !== chainId) throw mismatch("chain_id");
  if (receipt.transferAgent !== karat.transfer_agent) throw mismatch("transfer_agent");
  if (toHex(receipt.inferenceId) !== karat.inference_id) throw mismatch("inference_id");
  const { usage } = shown;
  if (!usage) return;
  const counts = [usage.prompt_tokens, usage.completion_tokens];
  if (String(counts) !== String([receipt.promptTokens, receipt.completionTokens])) throw mismatch("usage");
}

/** The inference that a body asks for, read as the node reads it. */
function askedFor(endpoint: string, body: Fields, aliases: Readonly<Record<string, string>>): SanitizedRequest {
  const { messages, prompt, ...rest } = body;
  const { model } = body;
  const meant = typeof model === "string" && Object.hasOwn(aliases, model) ? aliases[model] : model;
  try {
    if (endpoint === "responses") return sanitizeRequest({ ...chatOfResponses(body), model: meant });
    // Each of the others has its own way to give the input.
    return sanitizeRequest({ ...rest, ...(endpoint === "completions" ? { prompt } : { messages }), model: meant });
  } catch (error) {
    // Nobody can have answered it as it was asked.
    throw isRuleError(error) ? mismatch("request_hash", error) : error;
  }
}

/** What a node sent; whether it is what it should be is seen by comparing. */
function parsed<T extends object>(text: string): T {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === "object" && value !== null) return value as T;
  } catch {}
  throw new KaratError("malformed_stream", "What the node sent is no JSON object.");
}

const missing = (): KaratError => new KaratError("receipt_missing", "The answer came without its signed receipt.");
