import { fromBase64, KaratError, toHex } from "@karat/common";
import { readAnswer, requestHash, sanitizeRequest } from "@karat/rules";
import { type ListedPart, receivedParts, verifyDelivery } from "./delivery.ts";
import { ShownAnswer, type ShownEvent } from "./shownAnswer.ts";

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

/** Characters of one event: log-probabilities of a token, or the receipt. */
const MAX_EVENT = 4_194_304;
const ANSWERING = /\/v1\/(chat\/completions|completions|responses)$/;

/**
 * A `fetch` for the openai package (`new OpenAI({ fetch: verifiedFetch(…) })`) that compares every answer with the transfer agent's signed
 * receipt: request and answer by their hashes, usage, parts, chain. An answer comes when it fits; of a stream, the event that carries the
 * receipt does. Otherwise KaratError `receipt_missing` or `receipt_mismatch` {field} comes in its place. Errors of the node pass as
 * they are; `/v1/responses` is refused (`receipt_unsupported`), because its request is hashed in another form.
 */
export function verifiedFetch(options: VerifiedFetchOptions): typeof fetch {
  const send = options.fetch ?? fetch;
  return async (input, init) => {
    const request = new Request(input, init);
    const endpoint = ANSWERING.exec(new URL(request.url).pathname)?.[1];
    if (endpoint === undefined || request.method !== "POST") return await send(input, init);
    if (endpoint === "responses") {
      throw new KaratError(
        "receipt_unsupported",
        "Ask /v1/chat/completions: receipts of /v1/responses are not compared.",
      );
    }
    const sent = await request.text();
    const response = await send(input, { ...init, method: "POST", headers: request.headers, body: sent });
    if (!response.ok) return response;
    const verify = (shown: ShownAnswer): Promise<void> => verifyShown(options, endpoint, sent, shown);
    const type = response.headers.get("content-type") ?? "";
    if (type.startsWith("text/event-stream")) return again(response, response.body!.pipeThrough(checked(verify)));
    const text = await response.text();
    const shown = new ShownAnswer();
    shown.add(JSON.parse(text) as ShownEvent);
    await verify(shown);
    return again(response, text);
  };
}

const again = ({ status, statusText, headers }: Response, body: string | ReadableStream<Uint8Array>): Response =>
  new Response(body, { status, statusText, headers });

/** Events pass one by one; the one with the receipt, and what is behind it, when all of the answer fits. */
function checked(verify: (shown: ShownAnswer) => Promise<void>): TransformStream<Uint8Array, Uint8Array> {
  const [decoder, encoder] = [new TextDecoder(), new TextEncoder()];
  const shown = new ShownAnswer();
  let rest = "";
  let verified = false;
  return new TransformStream({
    async transform(bytes, controller) {
      const events = (rest + decoder.decode(bytes, { stream: true })).split("\n\n");
      rest = events.pop()!;
      if (rest.length > MAX_EVENT) throw new KaratError("malformed_stream", "An event of the stream has no end.");
      for (const event of events) {
        const data = event.startsWith("data: {") ? (JSON.parse(event.slice("data: ".length)) as ShownEvent) : undefined;
        if (data) shown.add(data);
        if (data?.karat) {
          await verify(shown);
          verified = true;
        }
        controller.enqueue(encoder.encode(`${event}\n\n`));
      }
    },
    flush() {
      if (!verified && !shown.failed) throw missing();
    },
  });
}

async function verifyShown(
  { chainId, nodeKeyOf, aliases = {} }: VerifiedFetchOptions,
  endpoint: string,
  sent: string,
  shown: ShownAnswer,
): Promise<void> {
  const karat = shown.karat as Receipt | undefined;
  if (!karat) throw missing();
  const { messages, prompt, model, ...rest } = JSON.parse(sent) as Record<string, unknown>;
  const meant = typeof model === "string" && Object.hasOwn(aliases, model) ? aliases[model] : model;
  // As the node reads a body: each endpoint has its own way to give the input.
  const input = endpoint === "completions" ? { prompt } : { messages };
  const sanitized = sanitizeRequest({ ...rest, ...input, model: meant });
  const text = sanitized.tools === undefined ? shown.text : (karat.text ?? "");
  if (sanitized.tools !== undefined) compareCalls(shown, text);
  const nodeKey = await nodeKeyOf(karat.transfer_agent);
  if (!nodeKey) throw mismatch("transfer_agent");
  const receipt = verifyDelivery({
    requestHash: requestHash(sanitized),
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

/** What is shown of an answer with functions is what its signed text says. */
function compareCalls(shown: ShownAnswer, text: string): void {
  const said = readAnswer(text);
  if ((said.text ?? "") !== shown.text) throw mismatch("text");
  if (JSON.stringify(said.calls) !== JSON.stringify(shown.calls)) throw mismatch("tool_calls");
}

const missing = (): KaratError => new KaratError("receipt_missing", "The answer came without its signed receipt.");

const mismatch = (field: string): KaratError =>
  new KaratError("receipt_mismatch", `The receipt does not fit this request and answer: ${field}.`, { field });
