import { KaratError, toHex } from "@karat/common";
import type { Event } from "cosmjs-types/tendermint/abci/types";
import { sha256 } from "../consensus/merkle.ts";
import type { ExecutedBlock } from "./executor.ts";
import { validatorJson } from "./rpc/encode.ts";
import { newBlockHeaderJson, newBlockJson, sparseEvents, txEventJson } from "./rpc/encode-events.ts";

/** Something a subscriber may hear about. */
export interface ChainEvent {
  readonly type: "NewBlock" | "NewBlockHeader" | "NewBlockEvents" | "Tx" | "ValidatorSetUpdates";
  /** `type.key` to its values: what a subscription's query is matched against. */
  readonly events: ReadonlyMap<string, readonly string[]>;
  /** The JSON of the event, made at most once however many listen. */
  value(): unknown;
}

export type ChainEventListener = (event: ChainEvent) => void;

/** Websockets with subscriptions and `broadcast_tx_commit` calls in flight, together. */
const MAX_LISTENERS = 200;

/** Hands events to listeners, in order. */
export class EventBus {
  readonly #listeners = new Set<ChainEventListener>();

  /** Returns the function that ends the subscription; throws `engine/too-many-subscribers`. */
  subscribe(listener: ChainEventListener): () => void {
    if (this.#listeners.size >= MAX_LISTENERS) {
      throw new KaratError("engine/too-many-subscribers", `max_subscription_clients ${MAX_LISTENERS} reached`);
    }
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  publish(events: Iterable<ChainEvent>): void {
    if (this.#listeners.size === 0) return;
    for (const event of events) for (const listener of this.#listeners) listener(event);
  }
}

function attributes(type: ChainEvent["type"], events: readonly Event[], reserved: Record<string, string> = {}) {
  const all = new Map<string, string[]>();
  for (const event of events) {
    if (event.type === "") continue;
    for (const { key, value } of event.attributes) {
      if (key === "") continue;
      const tag = `${event.type}.${key}`;
      const values = all.get(tag);
      if (values) values.push(value);
      else all.set(tag, [value]);
    }
  }
  for (const [tag, value] of Object.entries(reserved)) all.set(tag, [...(all.get(tag) ?? []), value]);
  return all.set("tm.event", [type]);
}

function lazy(make: () => unknown): () => unknown {
  let made: { readonly value: unknown } | undefined;
  return () => {
    made ??= { value: make() };
    return made.value;
  };
}

/** What one executed block tells its subscribers, in CometBFT's order. */
export function* eventsOf({ decided, response, before, after }: ExecutedBlock): Generator<ChainEvent> {
  const { block } = decided;
  const height = block.header.height.toString();
  const of = (type: ChainEvent["type"], events: ChainEvent["events"], make: () => unknown): ChainEvent => ({
    type,
    events,
    value: lazy(make),
  });
  yield of("NewBlock", attributes("NewBlock", response.events), () => newBlockJson(decided, response));
  yield of("NewBlockHeader", attributes("NewBlockHeader", []), () => newBlockHeaderJson(block));
  yield of("NewBlockEvents", attributes("NewBlockEvents", response.events), () => ({
    height,
    events: sparseEvents(response.events),
    num_txs: block.data.txs.length.toString(),
  }));
  for (const [index, tx] of block.data.txs.entries()) {
    const result = response.txResults[index]!;
    const hash = toHex(sha256(tx)).toUpperCase();
    yield of("Tx", attributes("Tx", result.events, { "tx.hash": hash, "tx.height": height }), () =>
      txEventJson(block.header.height, index, tx, result),
    );
  }
  if (before.nextValidators !== after.nextValidators) {
    yield of("ValidatorSetUpdates", attributes("ValidatorSetUpdates", []), () => ({
      validator_updates: response.validatorUpdates.map(validatorUpdateJson),
    }));
  }
}

const validatorUpdateJson = ({ pubKey, power }: { pubKey: { ed25519?: Uint8Array }; power: bigint }) =>
  validatorJson({ address: sha256(pubKey.ed25519!).slice(0, 20), pubKey, power });
