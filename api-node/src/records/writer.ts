import type { SentTx, TxSender } from "@karat/client";
import { isKaratError, type Logger, messageOf, sha256 } from "@karat/common";
import { inference, type OpenBatch, partNameOf, sign, typeUrls } from "@karat/proto";
import { openBatchOf } from "./openBatch.ts";
import type { Outbox, OutboxEntry } from "./outbox.ts";
import type { NewRecord } from "./record.ts";
import { RECORD_CODE } from "./resultCodes.ts";

/** The part of TxSender that the writer uses. */
export type RecordSender = Pick<TxSender, "address" | "send" | "outcome">;

export interface WriterOptions {
  readonly outbox: Outbox;
  /** Throws `chain_unavailable` while there is no connection. */
  readonly sender: () => RecordSender;
  /** What rides on chain of a batch. Throws `chain_unavailable` where it has to ask the chain and cannot. */
  readonly compact: (batch: OpenBatch) => Promise<inference.MsgRecords>;
  readonly chainId: () => string;
  /** Operator address of the participant. */
  readonly operator: string;
  readonly height: () => bigint | undefined;
  readonly log: Logger;
  /** A transaction goes out with this many records, or after this long with fewer. */
  readonly batchRecords?: number;
  readonly lingerMs?: number;
  /** Most records and bytes of one transaction, where more have gathered while the last one was on its way: as many as the chain takes in one. */
  readonly maxRecords?: number;
  readonly maxBytes?: number;
  readonly onBatch?: (records: number) => void;
}

interface Item extends OutboxEntry {
  readonly key: string;
}

/** With its place among the records of its transaction. */
interface PlacedItem extends Item {
  readonly index: number;
}

/** Tries in blocks before a record without its inference is given up. */
const MAX_UNKNOWN_TRIES = 30;
const MAX_REFUSED_TRIES = 5;
// More than twice what records were measured to use (a start 6,000, its bytes included). Protocol messages pay nothing, but their limits share a
// block's gas, and after an outage all nodes have thousands of records to send.
const GAS_BASE = 100_000n;
const GAS_PER_RECORD = 15_000n;
const GAS_PER_BYTE = 10n;
/** Transactions that the chain is asked for at the same time. */
const AT_ONCE = 32;
/** Short, for a start has to be in before its anchor is too old: after a crash that leaves time for further tries. */
const TIMEOUT_BLOCKS = 5n;
/**
 * A transaction that is not in after so many blocks is not waited for: its records go out anew. Should both get in, the second changes nothing, for
 * the chain answers a record it has with code 0; a start that comes too late loses its pay.
 */
const GRACE_BLOCKS = 2n;

/** The one writer of the node key: gathers records into transactions and learns the fate of each. */
export class RecordWriter {
  readonly #options: Required<WriterOptions>;
  readonly #waiting = new Map<string, PromiseWithResolvers<void>>();
  readonly #inFlight = new Map<string, Promise<void>>();
  #timer: NodeJS.Timeout | undefined;
  #sending: Promise<void> | undefined;
  /** Height at which the chain did not answer: before another block nothing is signed, so that an outage leaves few transactions to ask for. */
  #silentAt: bigint | undefined;
  readonly #stop = new AbortController();

  constructor(options: WriterOptions) {
    const bounds = { batchRecords: 512, lingerMs: 20, maxRecords: 1_024, maxBytes: 768 * 1024 };
    this.#options = { ...bounds, onBatch: () => undefined, ...options };
  }

  /** Resolves when this try is over and its result is in the outbox; a record on its way already is joined. Never rejects. */
  deliver(key: string): Promise<void> {
    const running = this.#inFlight.get(key);
    if (running && !this.#waiting.has(key))
      return running.then(() => (this.#isDue(key) ? this.deliver(key) : undefined));
    const known = this.#waiting.get(key)?.promise;
    if (known) return known;
    const fate = Promise.withResolvers<void>();
    this.#waiting.set(key, fate);
    if (this.#waiting.size >= this.#options.batchRecords) this.#flush();
    else this.#timer ??= setTimeout(() => this.#flush(), this.#options.lingerMs);
    return fate.promise;
  }

  /** Sends what waits; what has no result after `withinMs` is left to the next process. */
  async close(withinMs: number): Promise<void> {
    this.#flush();
    const late = setTimeout(() => this.#stop.abort(), withinMs);
    while (this.#sending) await this.#sending;
    clearTimeout(late);
  }

  /** It was put off while its try was still being booked, and the notice of the next try has come already: nobody would give another. */
  #isDue(key: string): boolean {
    const entry = this.#options.outbox.get(key);
    return entry !== undefined && !this.#stop.signal.aborted && entry.notBefore <= (this.#options.height() ?? 0n);
  }

  #flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#sending || this.#waiting.size === 0) return;
    this.#sending = this.#sendBatch().finally(() => {
      this.#sending = undefined;
      this.#flush(); // what has gathered meanwhile goes out at once
    });
  }

  async #sendBatch(): Promise<void> {
    const fates = new Map<string, PromiseWithResolvers<void>>();
    const items: Item[] = [];
    let bytes = 0;
    for (const [key, fate] of this.#urgentFirst()) {
      const entry = this.#options.outbox.get(key);
      if (entry && (items.length >= this.#options.maxRecords || bytes + entry.record.length > this.#options.maxBytes)) {
        if (items.length > 0) break;
      }
      this.#waiting.delete(key);
      fates.set(key, fate);
      this.#inFlight.set(key, fate.promise);
      if (!entry) continue; // settled by an earlier try
      items.push({ ...entry, key });
      bytes += entry.record.length;
    }
    try {
      if (this.#isSilent()) await this.#putOff(items, false);
      else {
        const fresh = await this.#settleEarlier(await this.#withoutOthers(items));
        if (fresh.length > 0) await this.#send(fresh);
      }
    } catch (error) {
      await this.#postpone(items, error);
    } finally {
      for (const [key, fate] of fates) {
        this.#inFlight.delete(key);
        fate.resolve();
      }
    }
  }

  /** Buries starts of another inference: each would be taken for that of a whole order, and leave a miss behind. */
  async #withoutOthers(items: readonly Item[]): Promise<Item[]> {
    const { outbox, chainId, height } = this.#options;
    const { own = [], others = [] } = Object.groupBy(items, (item) => (isOfAnother(item, chainId) ? "others" : "own"));
    const why = "names no inference that can be started";
    await Promise.all(others.map(({ key }) => outbox.bury(key, why, height() ?? 0n)));
    return own;
  }

  /** Starts have the nearest deadline, and the rest is worth nothing without them: after an outage not all fit into the next transactions. */
  #urgentFirst(): (readonly [string, PromiseWithResolvers<void>])[] {
    const waiting = [...this.#waiting];
    if (waiting.length <= this.#options.maxRecords) return waiting;
    const isStart = ([key]: readonly [string, unknown]): boolean => key.startsWith("start-");
    return [...waiting.filter(isStart), ...waiting.filter((entry) => !isStart(entry))];
  }

  /** Asks what became of transactions that were signed before; returns the records that have to be sent (anew). */
  async #settleEarlier(items: readonly Item[]): Promise<Item[]> {
    const { sender, height } = this.#options;
    const fresh = items.filter(({ tx }) => tx === undefined);
    const earlier = Map.groupBy(
      items.filter(({ tx }) => tx !== undefined),
      ({ tx }) => tx!.hash,
    );
    const asked = await someAtOnce([...earlier], async ([hash, carried]) => {
      const { timeoutHeight } = carried[0]!.tx!;
      return { carried, timeoutHeight, outcome: await sender().outcome(hash, timeoutHeight) };
    });
    for (const { carried, timeoutHeight, outcome } of asked) {
      const at = height() ?? 0n;
      if (outcome === "pending" && at < timeoutHeight - TIMEOUT_BLOCKS + GRACE_BLOCKS) {
        await this.#putOff(carried, false);
      } else if (outcome === "pending" || outcome === "expired" || outcome.code !== 0) {
        for (const { tx: _gone, ...item } of carried) fresh.push(item);
      } else
        await this.#apply(
          carried.map((item) => ({ ...item, index: item.tx!.index })),
          outcome,
        );
    }
    return fresh;
  }

  /** One transaction; when it is refused as a whole, its halves, so that one bad record does not hold up the others. */
  async #send(items: readonly Item[]): Promise<void> {
    const { sender, outbox, log, onBatch } = this.#options;
    const writer = sender();
    const { chainId, operator, compact } = this.#options;
    const { batch, order } = openBatchOf(items, chainId(), { sender: writer.address, operator });
    const placed = order.map((item, index) => ({ ...item, index }));
    const value = await compact(batch);
    try {
      const sent = await writer.send([{ typeUrl: typeUrls.records, value }], {
        gas: gasOf(items),
        timeoutBlocks: TIMEOUT_BLOCKS,
        signal: this.#stop.signal,
        onSigned: ({ hash, timeoutHeight }) =>
          outbox.signedInto(new Map(placed.map(({ key, index }) => [key, { hash, timeoutHeight, index }]))),
      });
      onBatch(items.length);
      await this.#apply(placed, sent);
    } catch (error) {
      if (!isKaratError(error, "tx_refused")) throw error;
      if (items.length > 1) {
        const half = items.length >> 1;
        await this.#send(items.slice(0, half));
        await this.#send(items.slice(half));
        return;
      }
      const { code, codespace, log: reason } = error.data;
      log.warn({ record: items[0]!.key, code, codespace, reason }, "The chain refused a transaction of one record.");
      await this.#refused(items[0]!, `${String(codespace)}/${String(code)}: ${String(reason)}`);
    }
  }

  /** The chain's result of each record. */
  async #apply(items: readonly PlacedItem[], tx: SentTx): Promise<void> {
    const { outbox, log } = this.#options;
    const resultOf = resultsOf(tx);
    // At once, so that they are one commit of the outbox: after an outage thousands wait, and their deadlines run.
    await Promise.all(
      items.map(async (item) => {
        const { code, log: why } = resultOf(item.index);
        if (code === RECORD_CODE.ok) await outbox.remove(item.key);
        else if (code === RECORD_CODE.unknownInference || code === RECORD_CODE.notFinished) {
          await this.#unknown(item, tx.height);
        } else if (isLost(item, code)) {
          // Hedged: another executor's receipt was first, and the word of it came after the first token here.
          log.info({ record: item.key }, "Another executor got the inference; the record is dropped.");
          await outbox.remove(item.key);
        } else if (item.kind === "delivery" && code === RECORD_CODE.illegalStep) {
          log.info({ record: item.key }, "The inference was over before its delivery could be recorded.");
          await outbox.remove(item.key);
        } else {
          const reason = `inference/${code}: ${why}`;
          log.warn({ record: item.key, reason }, "The chain refused a record.");
          await outbox.bury(item.key, reason, tx.height);
        }
      }),
    );
  }

  /** What it follows on is not there yet: wait a block. */
  async #unknown(item: Item, height: bigint): Promise<void> {
    const { outbox } = this.#options;
    const unknownTries = item.unknownTries + 1;
    if (unknownTries >= MAX_UNKNOWN_TRIES) {
      await outbox.bury(item.key, "its inference was never started", height);
      return;
    }
    await outbox.defer(item.key, height + 1n, { unknownTries });
  }

  async #refused(item: Item, reason: string): Promise<void> {
    const { outbox, height } = this.#options;
    const refusedTries = item.refusedTries + 1;
    const at = height() ?? 0n;
    if (refusedTries >= MAX_REFUSED_TRIES) await outbox.bury(item.key, reason, at);
    else await outbox.defer(item.key, at + 1n, { refusedTries });
  }

  /** Nothing is known of this try: the next one asks for the transaction first. */
  async #postpone(items: readonly Item[], error: unknown): Promise<void> {
    const { height, log } = this.#options;
    const code = isKaratError(error) ? error.code : messageOf(error);
    log.warn({ records: items.length, error: code }, "Records could not be sent; they are tried again.");
    if (code === "chain_unavailable") this.#silentAt = height();
    await this.#putOff(items, code === "tx_expired");
  }

  /** To the next block. */
  async #putOff(items: readonly Item[], forgetTx: boolean): Promise<void> {
    const { outbox, height } = this.#options;
    const next = this.#nextHeight(height());
    await Promise.all(items.map(({ key }) => outbox.defer(key, next, {}, forgetTx)));
  }

  #isSilent(): boolean {
    return this.#silentAt !== undefined && this.#silentAt === this.#options.height();
  }

  #nextHeight(height: bigint | undefined): bigint {
    return (height ?? 0n) + 1n;
  }
}

/** A start whose id is not that of its authorization, or of its part. */
export function isOfAnother({ kind, record, inferenceId }: NewRecord, chainId: () => string): boolean {
  if (kind !== "start") return false;
  const { authorization, receipt, prefix } = inference.StartRecord.decode(record);
  const orderId = sha256(authorization);
  const attempt = prefix && sign.Receipt.decode(receipt).attempt;
  const id = prefix ? sha256(partNameOf(chainId(), orderId, attempt ?? 0, prefix)) : orderId;
  return !equalBytes(id, inferenceId);
}

const equalBytes = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0;

const isLost = ({ kind }: Item, code: number): boolean =>
  (kind === "finish" && code === RECORD_CODE.wrongSender) || (kind === "start" && code === RECORD_CODE.alreadyStarted);

/** The chain's word on each record of a transaction, by its place: it names those that it refused. */
function resultsOf({ responses }: SentTx): (index: number) => { readonly code: number; readonly log: string } {
  const { refusals } = inference.MsgRecordsResponse.decode(responses[0] ?? new Uint8Array());
  const byIndex = new Map(refusals.map((refusal) => [refusal.index, refusal]));
  return (index) => byIndex.get(index) ?? { code: RECORD_CODE.ok, log: "" };
}

/** One after another a hundred questions would take longer than starts have, after an outage. */
async function someAtOnce<T, R>(all: readonly T[], ask: (each: T) => Promise<R>): Promise<R[]> {
  const answers: R[] = [];
  for (let at = 0; at < all.length; at += AT_ONCE) {
    answers.push(...(await Promise.all(all.slice(at, at + AT_ONCE).map(ask))));
  }
  return answers;
}

function gasOf(items: readonly Item[]): bigint {
  const bytes = items.reduce((sum, { record }) => sum + record.length, 0);
  return GAS_BASE + GAS_PER_RECORD * BigInt(items.length) + GAS_PER_BYTE * BigInt(bytes);
}
