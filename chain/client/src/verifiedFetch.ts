import { fromBase64, isKaratError, KaratError, toHex, utf8 } from "@karat/common";
import { openAiError } from "@karat/common/openai";
import { sign } from "@karat/proto";
import { isRuleError, readAnswer, requestHash, type SanitizedRequest } from "@karat/rules";
import { mismatch, receivedParts, verifyDelivery } from "./delivery.ts";
import { EventReader, eventText } from "./eventStream.ts";
import { type InferenceRequest, parseRequest, type RequestKind, readRequest } from "./inferenceRequest.ts";
import { verifyResponse } from "./response.ts";
import { type Shown, ShownAnswer } from "./shownAnswer.ts";
import { ShownEmbeddings } from "./shownEmbeddings.ts";
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
  readonly executor: string;
  readonly receipt: string;
  readonly signature: string;
  readonly response: string;
  readonly response_signature: string;
  readonly parts?: unknown;
  /** With functions to call: the answer as the model wrote it. */
  readonly text?: string;
}

type Verify = (shown: Shown<never, never>) => Promise<void>;

const KINDS: Readonly<Record<string, RequestKind>> = {
  "chat/completions": "chat",
  completions: "text",
  responses: "responses",
  embeddings: "embeddings",
};
const ANSWERING = /\/v1\/(chat\/completions|completions|responses|embeddings)$/;

/**
 * A `fetch` for the openai package (`new OpenAI({ fetch: verifiedFetch(…) })`) that compares every answer with the transfer agent's signed
 * receipt (request and answer by their hashes, usage, parts, chain) and with the executor's signed response (how the answer ended, its
 * text or its vectors, the counts). An answer comes when it fits; of a stream, the event that tells the end does. Otherwise KaratError `receipt_missing`,
 * `receipt_mismatch` {field} or `malformed_stream` comes in its place. Errors of the node pass as they are; what an honest node refuses is
 * answered as that node would, and not sent.
 */
export function verifiedFetch(options: VerifiedFetchOptions): typeof fetch {
  const send = options.fetch ?? fetch;
  return async (input, init) => {
    const request = new Request(input, init);
    const kind = KINDS[ANSWERING.exec(new URL(request.url).pathname)?.[1] ?? ""];
    if (kind === undefined || request.method !== "POST") return await send(input, init);
    const sent = await request.text();
    let asked: InferenceRequest;
    try {
      asked = askedFor(kind, sent, options.aliases);
    } catch (error) {
      if (isRuleError(error) || isKaratError(error)) return refusal(error);
      throw error;
    }
    const response = await send(input, { ...init, method: "POST", headers: request.headers, body: sent });
    if (!response.ok) return response;
    const verify: Verify = async (shown) => void (await verifyShown(options, asked.sanitized, shown));
    // Readers go by what they asked for: to them, the other kind is an answer with nothing in it.
    const isStream = response.headers.get("content-type")?.startsWith("text/event-stream") === true;
    if (isStream !== asked.stream) throw mismatch("stream");
    const body = isStream ? response.body! : await response.text();
    if (asked.vectors) {
      const shown = new ShownEmbeddings(asked.vectors, asked.sanitized.input?.length ?? 0);
      const signed = async (): Promise<void> => shown.requireSigned(await verifyShown(options, asked.sanitized, shown));
      return await checked(response, body, shown, signed);
    }
    return kind === "responses"
      ? await checked(response, body, new ShownResponse(), verify)
      : await checked(response, body, new ShownAnswer({ chat: kind === "chat" }), verify);
  };
}

/** The inference that a body asks for, read as the node reads it, and refused as the node refuses it. */
function askedFor(kind: RequestKind, body: string, aliases: VerifiedFetchOptions["aliases"] = {}): InferenceRequest {
  const fields = parseRequest(utf8(body));
  const { model } = fields;
  const meant = typeof model === "string" && Object.hasOwn(aliases, model) ? aliases[model] : model;
  return readRequest(kind, { ...fields, model: meant });
}

function refusal(error: unknown): Response {
  const { status, headers, body } = openAiError(error);
  return Response.json(body, { status, headers });
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
  readable(() => shown.addWhole(parsed<Whole>(body)));
  await verify(shown);
  return new Response(body, { status, statusText, headers });
}

/** Events pass one by one; that with the end of the answer when all of it fits, and nothing behind the receipt or an error. */
function checkedEvents<Event extends object>(
  shown: Shown<Event, never>,
  verify: Verify,
): TransformStream<Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>> {
  const [reader, encoder] = [new EventReader(), new TextEncoder()];
  let verified = false;
  /** The end of the answer, before its receipt, which comes one event later at the latest. */
  let held = "";
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
          readable(() => shown.add(parsed<Event>(event.data), event.name));
          if (shown.karat !== undefined) {
            await verify(shown);
            verified = true;
          } else if (shown.ended && !shown.failed) {
            if (held !== "") throw missing();
            held = eventText(event);
            continue;
          }
        }
        controller.enqueue(encoder.encode(verified ? held + eventText(event) : eventText(event)));
        held = "";
      }
    },
    flush: requireOver,
  });
}

async function verifyShown(
  { chainId, nodeKeyOf }: VerifiedFetchOptions,
  asked: SanitizedRequest,
  shown: Shown<never, never>,
): Promise<sign.ResponseReceipt> {
  const karat = receiptOf(shown.karat);
  // Only an answer that may call functions is read for calls.
  const text = asked.tools === undefined ? shown.text : (karat.text ?? "");
  const said = asked.tools === undefined ? { text, calls: [] } : readAnswer(text);
  if ((said.text ?? "") !== shown.text) throw mismatch("text");
  if (JSON.stringify(said.calls) !== JSON.stringify(shown.calls)) throw mismatch("tool_calls");
  const [nodeKey, executorKey] = await Promise.all([nodeKeyOf(karat.transfer_agent), nodeKeyOf(karat.executor)]);
  if (!nodeKey) throw mismatch("transfer_agent");
  if (!executorKey) throw mismatch("executor");
  const parts = receivedParts(karat.parts);
  const delivery = verifyDelivery({
    requestHash: requestHash(asked),
    text,
    receipt: fromBase64(karat.receipt),
    signature: fromBase64(karat.signature),
    nodeKey,
    parts,
  });
  if (delivery.chainId !== chainId) throw mismatch("chain_id");
  if (delivery.transferAgent !== karat.transfer_agent) throw mismatch("transfer_agent");
  if (delivery.executor !== karat.executor) throw mismatch("executor");
  if (toHex(delivery.inferenceId) !== karat.inference_id) throw mismatch("inference_id");
  const response = verifyResponse({
    response: fromBase64(karat.response),
    signature: fromBase64(karat.response_signature),
    nodeKey: executorKey,
    delivery,
    text,
    parts,
  });
  shown.requireEnd(response.finishReason === sign.FinishReason.LENGTH ? "length" : "stop");
  const { usage } = shown;
  const counts = usage && [usage.prompt_tokens, usage.completion_tokens];
  if (counts && String(counts) !== String([delivery.promptTokens, delivery.completionTokens])) throw mismatch("usage");
  return response;
}

const SIGNED = [
  "inference_id",
  "transfer_agent",
  "executor",
  "receipt",
  "signature",
  "response",
  "response_signature",
] as const satisfies (keyof Receipt)[];

function receiptOf(karat: unknown): Receipt {
  const receipt = (karat ?? {}) as Receipt;
  if (SIGNED.some((field) => typeof receipt[field] !== "string")) throw missing();
  if (typeof (receipt.text ?? "") !== "string") throw mismatch("text");
  return receipt;
}

/** What a node sent; whether it is what it should be is seen by comparing. */
/** Fields of other types than the API has. */
function readable(read: () => void): void {
  try {
    read();
  } catch (error) {
    throw error instanceof TypeError ? mismatch("answer", error) : error;
  }
}

function parsed<T extends object>(text: string): T {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === "object" && value !== null) return value as T;
  } catch {}
  throw new KaratError("malformed_stream", "What the node sent is no JSON object.");
}

const missing = (): KaratError => new KaratError("receipt_missing", "The answer came without its signed receipt.");
