import { KaratError } from "@karat/common";
import type { ChainEvent, EventBus } from "../events.ts";
import { MAX_QUERY_LENGTH, matchesEvents, parseQuery, type Query } from "../query.ts";
import { type Id, type RpcReply, success } from "./jsonrpc.ts";

/** CometBFT's default. */
export const MAX_SUBSCRIPTIONS_PER_CLIENT = 5;

interface Subscription {
  readonly id: Id;
  readonly query: Query;
}

function refuse(reason: string): never {
  throw new KaratError("rpc/bad-request", reason);
}

function parse(text: string): Query {
  try {
    return parseQuery(text);
  } catch (error) {
    return refuse(`failed to parse query: ${(error as Error).message}`);
  }
}

/** The subscriptions of one websocket. Each event that a query selects is sent under the id of its subscribe call. */
export class Subscriptions {
  readonly #byQuery = new Map<string, Subscription>();
  readonly #bus: EventBus;
  readonly #send: (reply: RpcReply) => void;
  #unsubscribe: (() => void) | undefined;

  constructor(bus: EventBus, send: (reply: RpcReply) => void) {
    this.#bus = bus;
    this.#send = send;
  }

  add(id: Id, text: string): void {
    if (this.#byQuery.size >= MAX_SUBSCRIPTIONS_PER_CLIENT) {
      refuse(`max_subscriptions_per_client ${MAX_SUBSCRIPTIONS_PER_CLIENT} reached`);
    }
    if (text.length > MAX_QUERY_LENGTH) refuse("maximum query length exceeded");
    const query = parse(text);
    if (this.#byQuery.has(text)) refuse("already subscribed");
    this.#byQuery.set(text, { id, query });
    this.#unsubscribe ??= this.#bus.subscribe((event) => this.#deliver(event));
  }

  remove(text: string): void {
    parse(text);
    if (!this.#byQuery.delete(text)) refuse("subscription not found");
    if (this.#byQuery.size === 0) this.#stop();
  }

  /** Ends all; throws when there is none. */
  removeAll(): void {
    if (this.#byQuery.size === 0) refuse("subscription not found");
    this.close();
  }

  close(): void {
    this.#byQuery.clear();
    this.#stop();
  }

  #stop(): void {
    this.#unsubscribe?.();
    this.#unsubscribe = undefined;
  }

  #deliver(event: ChainEvent): void {
    for (const [query, subscription] of this.#byQuery) {
      if (!matchesEvents(subscription.query, event.events)) continue;
      const data = { type: `tendermint/event/${event.type}`, value: event.value() };
      this.#send(success(subscription.id, { query, data, events: Object.fromEntries(event.events) }));
    }
  }
}
