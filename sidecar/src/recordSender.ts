import { setTimeout as sleep } from "node:timers/promises";
import { isTransient, type TxSender } from "@karat/client";
import { isKaratError, type Logger, toHex } from "@karat/common";
import { verification } from "@karat/proto";

const MAX_BATCH = 64;
const GAS_PER_TX = 100_000n;
/** A verdict that ends a committee touches most: duties, standing, refund. */
const GAS_PER_RECORD = 100_000n;
const MAX_ATTEMPTS = 20;

export interface RecordSenderOptions<R> {
  readonly sender: TxSender;
  readonly log: Logger;
  readonly signal: AbortSignal;
  readonly typeUrl: string;
  /** The message that carries the records. Its response has the shape of MsgSubmitVerdictsResponse. */
  readonly messageOf: (sender: string, records: R[]) => object;
}

interface Waiting<R> {
  readonly record: R;
  readonly done: PromiseWithResolvers<number>;
}

/** Sends records in batches, one transaction at a time; what comes meanwhile leaves with the next. */
export class RecordSender<R extends { readonly inferenceId: Uint8Array }> {
  readonly #options: RecordSenderOptions<R>;
  readonly #waiting: Waiting<R>[] = [];
  #sending: Promise<void> | undefined;

  constructor(options: RecordSenderOptions<R>) {
    this.#options = options;
  }

  /** The chain's code for the record: 0 when it is recorded. Throws when the chain cannot be reached for long. */
  send(record: R): Promise<number> {
    const done = Promise.withResolvers<number>();
    this.#waiting.push({ record, done });
    this.#sending ??= this.#work().finally(() => {
      this.#sending = undefined;
    });
    return done.promise;
  }

  /** Waits until nothing is on its way. */
  async idle(): Promise<void> {
    await this.#sending;
  }

  async #work(): Promise<void> {
    while (this.#waiting.length > 0) {
      const batch = this.#waiting.splice(0, MAX_BATCH);
      try {
        const codes = await this.#sendBatch(batch.map(({ record }) => record));
        for (const { record, done } of batch) done.resolve(codes.get(toHex(record.inferenceId)) ?? 0);
      } catch (error) {
        for (const { done } of batch) done.reject(error);
      }
    }
  }

  async #sendBatch(records: R[]): Promise<Map<string, number>> {
    const { sender, log, signal, typeUrl, messageOf } = this.#options;
    const value = messageOf(sender.address, records);
    for (let attempt = 1; ; attempt++) {
      try {
        const gas = GAS_PER_TX + GAS_PER_RECORD * BigInt(records.length);
        const tx = await sender.send([{ typeUrl, value }], { gas, timeoutBlocks: 5n, signal });
        const { results } = verification.MsgSubmitVerdictsResponse.decode(tx.responses[0] ?? new Uint8Array());
        for (const { inferenceId, code, log: why } of results) {
          if (code !== 0)
            log.info({ inference: toHex(inferenceId), code, why, typeUrl }, "The chain refused a record.");
        }
        return new Map(results.map(({ inferenceId, code }) => [toHex(inferenceId), code]));
      } catch (error) {
        const again = isTransient(error) || isKaratError(error, "tx_expired");
        if (signal.aborted || attempt >= MAX_ATTEMPTS || !again) throw error;
        await sleep(Math.min(5_000, 250 * 2 ** attempt), undefined, { signal });
      }
    }
  }
}
