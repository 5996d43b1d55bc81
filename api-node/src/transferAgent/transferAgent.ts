import type { IncomingMessage, ServerResponse } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { type ApiKey, decodeApiKey, type RequestKind } from "@karat/client";
import { isKaratError, KaratError, type Logger, messageOf, toHex } from "@karat/common";
import { readBody } from "@karat/common/http";
import { SSE_HEADERS } from "@karat/common/openai";
import { errorReply } from "../errors.ts";
import type { TokenLine } from "../executor/protocol.ts";
import type { PayloadSink } from "../payloads/payload.ts";
import type { RecordSink } from "../records/record.ts";
import { type ClientRequest, type ModelAliases, readClientRequest } from "./clientRequest.ts";
import { type Answered, type Begun, type DispatchModules, dispatch, type Tokens } from "./dispatch.ts";
import { type AnswerFacts, type AnswerFormat, answerFormat } from "./format.ts";
import { CORS_HEADERS, clientSignal, requestIdOf, sendError, write } from "./httpAnswer.ts";
import type { IdempotentAnswers, WholeAnswer } from "./idempotency.ts";
import type { ClientLimits, Visit } from "./limits.ts";
import type { InferenceObserver } from "./observer.ts";
import { type Order, type OrderModules, placeOrder, type Terms } from "./orders.ts";
import { deliveryPayloads, deliveryReceipt, deliveryRecord, startRecord } from "./records.ts";

export interface TransferAgentModules extends OrderModules {
  readonly dispatch: DispatchModules;
  readonly limits: ClientLimits;
  readonly answers: IdempotentAnswers;
  readonly aliases?: ModelAliases;
  readonly records: RecordSink;
  readonly payloads: PayloadSink;
  readonly observer: InferenceObserver;
  readonly log: Logger;
}

export const MAX_BODY_BYTES = 4 * 1024 * 1024;
/** Orders for one request: a fresh one, with a draw of its own, when nobody took the last or its executor failed before the client saw anything. */
const MAX_ORDERS = 3;
/** Before the second order when nobody took the first: all were busy, or just died. Twice that before the third. */
const ORDER_PAUSE_MS = 250;

/** One request on its way, with what may have to be undone. */
interface Exchange {
  readonly request: ClientRequest;
  readonly key: ApiKey;
  readonly terms: Terms;
  readonly visit: Visit;
  readonly response: ServerResponse;
  readonly signal: AbortSignal;
  readonly startedMs: number;
}

/** Faces the client: from an OpenAI request to an answer with a signed receipt. */
export class TransferAgent {
  readonly #modules: TransferAgentModules;

  constructor(modules: TransferAgentModules) {
    this.#modules = modules;
  }

  /** Answers one request; never throws. */
  async handle(kind: RequestKind, request: IncomingMessage, response: ServerResponse): Promise<void> {
    const startedMs = performance.now();
    const signal = clientSignal(response);
    for (const [name, value] of Object.entries(CORS_HEADERS)) response.setHeader(name, value);
    response.setHeader("x-request-id", requestIdOf(request));
    let visit: Visit | undefined;
    let code = "ok";
    try {
      const key = decodeApiKey(bearerOf(request));
      visit = this.#enter(key.address, response);
      const asked = readClientRequest(kind, await readBody(request, MAX_BODY_BYTES), this.#modules.aliases);
      const exchange: Exchange = { request: asked, key, terms: termsOf(request), visit, response, signal, startedMs };
      if (asked.stream) await this.#stream(exchange);
      else sendAnswer(response, await this.#once(exchange, request.headers["idempotency-key"]));
    } catch (error) {
      code = this.#fail(response, signal, error);
    } finally {
      visit?.leave();
      this.#modules.observer.answered(kind, code, performance.now() - startedMs);
    }
  }

  /** Tells the client its limits whether or not it may enter. */
  #enter(client: string, response: ServerResponse): Visit {
    try {
      return this.#modules.limits.enter(client);
    } finally {
      this.#showLimits(client, response);
    }
  }

  #showLimits(client: string, response: ServerResponse): void {
    for (const [name, value] of Object.entries(this.#modules.limits.headers(client))) response.setHeader(name, value);
  }

  /** Tokens as they come. What fails after the first one is told in the stream. */
  async #stream(exchange: Exchange): Promise<void> {
    const { response, signal } = exchange;
    await this.#ordered(exchange, async (order, format) => {
      try {
        for await (const event of this.#run(order, exchange)) {
          if (event.type === "begun") {
            if (response.headersSent) continue; // another goes on; the client need not know
            response.writeHead(200, { ...SSE_HEADERS, ...karatHeaders(order, event) });
            await this.#send(exchange, format.opening());
          } else if (event.type === "tokens") {
            await this.#send(exchange, event.tokens.map(format.token).join(""));
          } else {
            response.end(format.closing(event.answer, event.karat));
          }
        }
      } catch (error) {
        if (!response.headersSent || signal.aborted) throw error;
        response.end(format.failure(errorReply(error).body.error));
        this.#modules.observer.brokenStream();
      }
    });
  }

  /** With an `Idempotency-Key`, the same request again gets the same answer and is charged once. */
  async #once(exchange: Exchange, idempotencyKey: string | string[] | undefined): Promise<WholeAnswer> {
    if (typeof idempotencyKey !== "string") return await this.#whole(exchange);
    const { request, key } = exchange;
    const { encoding = "", dimensions = "" } = request.vectors ?? {};
    const body = [request.kind, encoding, dimensions, toHex(request.hash)].join("/");
    const identity = { client: key.address, key: idempotencyKey, body };
    for (;;) {
      try {
        return await this.#modules.answers.get(identity, () => this.#whole(exchange));
      } catch (error) {
        // The client of the request that was joined has left; this one's has not.
        if (!isKaratError(error, "cancelled") || exchange.signal.aborted) throw error;
      }
    }
  }

  async #whole(exchange: Exchange): Promise<WholeAnswer> {
    return await this.#ordered(exchange, (order, format) => this.#collect(order, exchange, format));
  }

  /** One order after another while the client has seen nothing: an executor that fails only costs it time. */
  async #ordered<T>(exchange: Exchange, answer: (order: Order, format: AnswerFormat) => Promise<T>): Promise<T> {
    const { request, response, signal } = exchange;
    const created = Math.floor(Date.now() / 1_000);
    let exactly = false;
    for (let count = 1; ; count++) {
      const order = await this.#order(exchange, exactly);
      try {
        return await answer(order, answerFormat(request, this.#facts(order, created)));
      } catch (error) {
        const nobody = isKaratError(error, "no_executor");
        if (response.headersSent || signal.aborted || count === MAX_ORDERS) throw error;
        // The model's template is longer than what is reckoned for one.
        const tooLong = !order.counted && isKaratError(error, "context_length_exceeded");
        if (!nobody && !tooLong && !isKaratError(error, "executor_failed")) throw error;
        exactly ||= tooLong;
        if (nobody) await sleep(count * ORDER_PAUSE_MS, undefined, { signal }).catch(() => undefined);
      } finally {
        order.hold.release();
      }
    }
  }

  #facts({ authorization, request }: Order, created: number): AnswerFacts {
    const declared = this.#modules.view.models().find(({ id }) => id === request.sanitized.model);
    const weights = toHex(declared?.weightsHash ?? new Uint8Array()).slice(0, 10);
    return { inferenceId: toHex(authorization.inferenceId), created, fingerprint: `fp_${weights}` };
  }

  async #collect(order: Order, exchange: Exchange, format: AnswerFormat): Promise<WholeAnswer> {
    const tokens: TokenLine[] = [];
    let headers: Record<string, string> = {};
    for await (const event of this.#run(order, exchange)) {
      if (event.type === "begun") headers = { ...karatHeaders(order, event), ...headers };
      else if (event.type === "tokens") tokens.push(...event.tokens);
      else return { headers, body: JSON.stringify(format.whole(event.answer, tokens, event.karat)) };
    }
    throw new KaratError("executor_failed", "The executor failed within its answer.");
  }

  /** `exactly`: the prompt is counted. */
  async #order(exchange: Exchange, exactly: boolean): Promise<Order> {
    const { key, request, terms, visit, response } = exchange;
    const order = await placeOrder(this.#modules, key, request, terms, exactly);
    const { maxInputTokens, maxOutputTokens } = order.authorization.message;
    try {
      visit.takeTokens(maxInputTokens + maxOutputTokens);
      return order;
    } catch (error) {
      order.hold.release();
      // So many bytes would be too much; so many tokens may not be.
      if (!order.counted && isKaratError(error, "rate_limit_exceeded")) return await this.#order(exchange, true);
      throw error;
    } finally {
      this.#showLimits(key.address, response);
    }
  }

  /** The events of one order, with its records written as they become due. */
  async *#run(order: Order, exchange: Exchange): AsyncGenerator<Begun | Tokens | Delivered> {
    const { view, identity, records, payloads, observer } = this.#modules;
    /** The part that runs, and what the client has of it. */
    let part: Begun | undefined;
    let tokens = 0;
    try {
      for await (const event of dispatch(this.#modules.dispatch, view.chainId, order, exchange.signal)) {
        if (event.type === "begun") {
          if (!event.prefix) {
            observer.firstToken(performance.now() - exchange.startedMs);
            tokens = event.promise.promptTokens;
          }
          part = event;
          order.hold.begun();
          records.add(startRecord(view, order, event));
          yield event;
        } else if (event.type === "tokens") {
          tokens += event.tokens.length;
          yield event;
        } else if (event.type === "broken") {
          part = undefined;
          // Its executor may be gone, and what goes on behind it needs the start of its order.
          const start = startRecord(view, order, { ...event.part, contested: true });
          if (view.height() <= start.deadlineHeight) records.add(start);
          records.add(deliveryRecord(event.part));
        } else {
          records.add(deliveryRecord(event.part, event));
          // An executor of this process keeps the payloads already.
          if (!event.own) void payloads.put(...deliveryPayloads(order, event));
          const karat = deliveryReceipt(view.chainId, identity, order, event);
          part = undefined;
          const { promptTokens, completionTokens } = event.whole;
          exchange.visit.usedTokens(promptTokens + completionTokens);
          observer.delivered(promptTokens, completionTokens);
          yield { type: "delivered", answer: event, karat };
        }
      }
    } finally {
      // The client left: what it has received so far is what is delivered.
      if (part && exchange.signal.aborted) {
        records.add(deliveryRecord(part));
        exchange.visit.usedTokens(tokens);
      }
    }
  }

  async #send({ response, signal }: Exchange, events: string): Promise<void> {
    if (events !== "") await write(response, events, signal);
  }

  /** The code under which it counts. */
  #fail(response: ServerResponse, signal: AbortSignal, error: unknown): string {
    if (signal.aborted) return "cancelled";
    const { status, body } = errorReply(error);
    if (status === 500) this.#warn(error);
    if (response.headersSent) response.destroy();
    else sendError(response, error);
    return body.error.code ?? String(status);
  }

  #warn(error: unknown): void {
    this.#modules.log.error({ error: messageOf(error) }, "A request met an unexpected error.");
  }
}

interface Delivered {
  readonly type: "delivered";
  readonly answer: Answered;
  /** The signed receipt, as the field `karat` shows it. */
  readonly karat: object;
}

function karatHeaders(order: Order, { candidate, attempt }: Begun): Record<string, string> {
  return {
    "x-karat-inference-id": toHex(order.authorization.inferenceId),
    "x-karat-executor": candidate.member.operator,
    "x-karat-attempts": String(attempt + 1),
  };
}

function sendAnswer(response: ServerResponse, { headers, body }: WholeAnswer): void {
  const length = Buffer.byteLength(body);
  response.writeHead(200, { "content-type": "application/json; charset=utf-8", "content-length": length, ...headers });
  response.end(body);
}

/** Throws `invalid_api_key`. */
export function bearerOf(request: IncomingMessage): string {
  const [scheme, key] = (request.headers.authorization ?? "").split(" ");
  if (scheme?.toLowerCase() !== "bearer" || !key) {
    throw new KaratError("invalid_api_key", "No API key: send `Authorization: Bearer sk-karat-…`.");
  }
  return key;
}

function termsOf({ headers }: IncomingMessage): Terms {
  const maxInputPrice = price(headers["x-karat-max-input-price"], "x-karat-max-input-price");
  const maxOutputPrice = price(headers["x-karat-max-output-price"], "x-karat-max-output-price");
  return {
    ...(maxInputPrice === undefined ? {} : { maxInputPrice }),
    ...(maxOutputPrice === undefined ? {} : { maxOutputPrice }),
    ...(wantsHashesOnly(headers["x-karat-recording"]) ? { private: true } : {}),
  };
}

/** Only what is understood: a client that asked for privacy in words of its own must not find its request on a public chain. */
function wantsHashesOnly(recording: string | string[] | undefined): boolean {
  if (recording === undefined || recording === "full") return false;
  if (recording === "commit") return true;
  const param = "x-karat-recording";
  throw new KaratError("invalid_request", `${param}: must be commit (hashes only on chain) or full`, { param });
}

function price(value: string | string[] | undefined, param: string): bigint | undefined {
  if (value === undefined) return undefined;
  if (typeof value === "string" && /^\d{1,19}$/.test(value)) return BigInt(value);
  throw new KaratError("invalid_request", `${param}: must be an amount of ukarat per token`, { param });
}
