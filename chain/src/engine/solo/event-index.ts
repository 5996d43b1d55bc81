import { KaratError } from "@karat/common";
import { type Event, TxResult } from "cosmjs-types/tendermint/abci/types";
import type { Database } from "lmdb";
import { sha256 } from "../consensus/merkle.ts";
import { type Condition, type Match, matchesNumber, matchesText, type Query } from "./query.ts";

type Table = Database<Buffer, Buffer>;

/** More records than this behind one query is refused: the asker narrows it by height. */
const MAX_CANDIDATES = 100_000;

const TX = 1;
const BLOCK = 2;
const TX_ORDER_BYTES = 12;

/** Height, then index within the block: the order in which search results come. */
function orderKey(height: bigint, index: number): Buffer {
  const key = Buffer.alloc(TX_ORDER_BYTES);
  key.writeBigUInt64BE(height);
  key.writeUInt32BE(index, 8);
  return key;
}

// Tags and values are of any length, keys are not: an index key has half a hash of each, and each hit is checked against
// the record itself.
const short = (text: string) => sha256(Buffer.from(text)).subarray(0, 16);
const tagPrefix = (kind: number, tag: string) => Buffer.concat([Uint8Array.of(kind), short(tag)]);
const valuePrefix = (kind: number, tag: string, value: string) => Buffer.concat([tagPrefix(kind, tag), short(value)]);

/** The key just after everything that starts with `prefix`. */
const after = (prefix: Buffer) => Buffer.concat([prefix, Buffer.alloc(TX_ORDER_BYTES + 17, 0xff)]);

/** `type.key` of each attribute the application asked to have indexed, with its value. */
function* indexed(event: Event): Generator<readonly [tag: string, value: string]> {
  if (event.type === "") return;
  for (const { key, value, index } of event.attributes) if (index && key !== "") yield [`${event.type}.${key}`, value];
}

/** A condition on what a record itself says, such as its height. Equality is numeric here. */
const holdsNumber = (condition: Condition, value: bigint): boolean =>
  condition.op === "EXISTS" || matchesNumber(condition, value.toString());

/** As CometBFT's index compares: equality of text, ranges of values that are numbers as a whole. */
const holdsIndexed = (condition: Condition, value: string): boolean => matchesText(condition, value);

/**
 * Finds transactions and blocks by what their events said. As in CometBFT v0.38, all conditions on event attributes must
 * hold within one and the same event. Writes belong in the caller's LMDB transaction.
 */
export class EventIndex {
  readonly #txs: Table;
  readonly #txOrder: Table;
  readonly #events: Table;

  constructor(tables: { txs: Table; txOrder: Table; events: Table }) {
    this.#txs = tables.txs;
    this.#txOrder = tables.txOrder;
    this.#events = tables.events;
  }

  tx(hash: Uint8Array): TxResult | undefined {
    const bytes = hash.length === 32 ? this.#txs.get(Buffer.from(hash)) : undefined;
    return bytes && TxResult.decode(bytes);
  }

  addTx(record: TxResult): void {
    const hash = Buffer.from(sha256(record.tx));
    // The same bytes may come again and fail: the answer to their hash stays the execution that worked.
    const earlier = record.result?.code === 0 ? undefined : this.tx(hash);
    if (earlier?.result?.code === 0) return;
    this.#txs.putSync(hash, Buffer.from(TxResult.encode(record).finish()));
    const order = orderKey(record.height, record.index);
    this.#txOrder.putSync(order, hash);
    for (const event of record.result?.events ?? []) {
      for (const [tag, value] of indexed(event)) {
        this.#events.putSync(Buffer.concat([valuePrefix(TX, tag, value), order]), hash);
      }
    }
  }

  removeTx(record: TxResult): void {
    const hash = Buffer.from(sha256(record.tx));
    const kept = this.tx(hash);
    if (kept?.height === record.height && kept.index === record.index) this.#txs.removeSync(hash);
    const order = orderKey(record.height, record.index);
    this.#txOrder.removeSync(order);
    for (const event of record.result?.events ?? []) {
      for (const [tag, value] of indexed(event)) {
        this.#events.removeSync(Buffer.concat([valuePrefix(TX, tag, value), order]));
      }
    }
  }

  addBlock(height: bigint, events: readonly Event[]): void {
    for (const key of blockKeys(height, events)) this.#events.putSync(key, Buffer.alloc(0));
  }

  removeBlock(height: bigint, events: readonly Event[]): void {
    for (const key of blockKeys(height, events)) this.#events.removeSync(key);
  }

  /** Transactions a query selects, in block order. Throws `engine/query-too-wide`. */
  searchTxs(query: Query): TxResult[] {
    const byHash = query.find(({ tag }) => tag === "tx.hash");
    if (byHash) {
      const record = this.tx(Buffer.from(byHash.arg?.text ?? "", "hex"));
      return record ? [record] : [];
    }
    const heights = query.filter(({ tag }) => tag === "tx.height");
    const others = query.filter(({ tag }) => tag !== "tx.height");
    const found: TxResult[] = [];
    const candidates = others.length > 0 ? this.#candidates(TX, others) : this.#ordersAt(heights);
    for (const order of candidates) {
      if (!heights.every((condition) => holdsNumber(condition, order.readBigUInt64BE()))) continue;
      const hash = this.#txOrder.get(order);
      const record = hash && this.tx(hash);
      if (!record || orderKey(record.height, record.index).compare(order) !== 0) continue;
      if (others.length === 0 || someEvent(record.result?.events ?? [], others)) found.push(record);
    }
    return found;
  }

  /** Heights of the blocks a query selects, rising; `events` gives a block's own events. Throws `engine/query-too-wide`. */
  searchBlocks(query: Query, range: Match, events: (height: bigint) => readonly Event[]): bigint[] {
    const heights = query.filter(({ tag }) => tag === "block.height");
    const others = query.filter(({ tag }) => tag !== "block.height");
    const inHeights = (height: bigint) => heights.every((condition) => holdsNumber(condition, height));
    if (others.length === 0) return heightsWithin(heights, range).filter(inHeights);
    return this.#candidates(BLOCK, others)
      .map((order) => order.readBigUInt64BE())
      .filter((height) => inHeights(height) && someEvent(events(height), others));
  }

  /** Where any record has the tag of the most selective condition, in order and without repetition. */
  #candidates(kind: number, conditions: readonly Condition[]): Buffer[] {
    const first = conditions.find(({ op }) => op === "=") ?? conditions[0]!;
    const start = first.op === "=" ? valuePrefix(kind, first.tag, first.arg?.text ?? "") : tagPrefix(kind, first.tag);
    const orders = new Map<string, Buffer>();
    for (const key of this.#events.getKeys({ start, end: after(start), limit: MAX_CANDIDATES + 1 })) {
      const order = Buffer.from(key.subarray(33));
      orders.set(order.toString("hex"), order);
      if (orders.size > MAX_CANDIDATES) throw tooWide();
    }
    return [...orders.values()].sort(Buffer.compare);
  }

  #ordersAt(heights: readonly Condition[]): Buffer[] {
    const { min, max } = bounds(heights);
    const orders: Buffer[] = [];
    const range = { start: orderKey(min, 0), end: orderKey(max, 0xffff_ffff), inclusiveEnd: true };
    for (const key of this.#txOrder.getKeys({ ...range, limit: MAX_CANDIDATES + 1 })) {
      orders.push(Buffer.from(key));
      if (orders.length > MAX_CANDIDATES) throw tooWide();
    }
    return orders;
  }
}

function* blockKeys(height: bigint, events: readonly Event[]): Generator<Buffer> {
  for (const event of events) {
    for (const [tag, value] of indexed(event))
      yield Buffer.concat([valuePrefix(BLOCK, tag, value), orderKey(height, 0)]);
  }
}

const tooWide = () =>
  new KaratError("engine/query-too-wide", "the query selects too many records: narrow it by height", {
    limit: MAX_CANDIDATES,
  });

/** True when one event alone satisfies every condition. */
function someEvent(events: readonly Event[], conditions: readonly Condition[]): boolean {
  return events.some((event) => {
    const attributes = [...indexed(event)];
    return conditions.every((condition) =>
      attributes.some(([tag, value]) => tag === condition.tag && holdsIndexed(condition, value)),
    );
  });
}

/** The smallest range of heights that holds every height the conditions allow. */
function bounds(conditions: readonly Condition[]): { min: bigint; max: bigint } {
  let min = 0n;
  let max = 2n ** 63n - 1n;
  for (const { op, arg } of conditions) {
    if (arg?.kind !== "number" && arg?.kind !== "string") continue;
    if (!/^\d{1,18}$/.test(arg.text)) continue;
    const value = BigInt(arg.text);
    if ((op === "=" || op === ">" || op === ">=") && value > min) min = value;
    if ((op === "=" || op === "<" || op === "<=") && value < max) max = value;
  }
  return { min, max };
}

function heightsWithin(conditions: readonly Condition[], kept: Match): bigint[] {
  const asked = bounds(conditions);
  const min = asked.min > kept.min ? asked.min : kept.min;
  const max = asked.max < kept.max ? asked.max : kept.max;
  if (max - min >= BigInt(MAX_CANDIDATES)) throw tooWide();
  const heights: bigint[] = [];
  for (let height = min; height <= max; height++) heights.push(height);
  return heights;
}
