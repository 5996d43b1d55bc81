import { type Logger, messageOf } from "@karat/common";
import { inference, sign } from "@karat/proto";
import { compareBytes } from "@karat/rules";
import type { Outbox, Pending } from "./outbox.ts";
import { refOfKey } from "./record.ts";

const { InferenceStatus } = inference;
/** As many as one query may ask for, and queries of one look: what waits longest comes first. */
const PAGE = 256;
const MAX_PAGES = 8;
/** There is nothing left to say of an inference. */
const OVER: readonly inference.InferenceStatus[] = [
  InferenceStatus.SETTLED,
  InferenceStatus.MISSED,
  InferenceStatus.INVALID,
  InferenceStatus.INCONCLUSIVE,
];

export interface ProgressWatchOptions {
  readonly outbox: Outbox;
  /** Where inferences stand, by their short ids; those that the chain does not know are left out. */
  readonly progress: (refs: readonly bigint[]) => Promise<readonly inference.Progress[]>;
  readonly log: Logger;
}

/**
 * Compares what waits in the outbox with the chain: a start that its executor has recorded is not sent by the transfer agent, too, and a
 * delivery says no more than that it agrees where it does. It asks the state and follows no events, so that nothing is lost with a process.
 */
export class ProgressWatch {
  readonly #options: ProgressWatchOptions;
  #running: Promise<void> | undefined;

  constructor(options: ProgressWatchOptions) {
    this.#options = options;
  }

  /** Called with each block; one look at a time. Never rejects. */
  look(): Promise<void> {
    this.#running ??= this.#look()
      .catch((error) => this.#options.log.warn({ error: messageOf(error) }, "Could not ask where inferences stand."))
      .finally(() => {
        this.#running = undefined;
      });
    return this.#running;
  }

  async #look(): Promise<void> {
    const waiting = [...this.#options.outbox.pending()].filter(({ awaits }) => awaits !== undefined);
    for (let page = 0; page < MAX_PAGES && page * PAGE < waiting.length; page++) {
      const asked = waiting.slice(page * PAGE, (page + 1) * PAGE);
      const answers = await this.#options.progress([...new Set(asked.map(({ key }) => refOfKey(key)))]);
      const byRef = new Map(answers.map((answer) => [answer.ref, answer]));
      await Promise.all(
        asked.map(async (pending) => {
          const progress = byRef.get(refOfKey(pending.key));
          if (progress !== undefined) await this.#take(pending, progress);
        }),
      );
    }
  }

  async #take({ key, awaits }: Pending, progress: inference.Progress): Promise<void> {
    const { outbox, log } = this.#options;
    if (awaits === "start" || progress.delivered || OVER.includes(progress.status)) {
      if (!progress.delivered && progress.status === InferenceStatus.SETTLED) {
        log.info({ record: key }, "An inference was paid before its delivery could be recorded.");
      }
      await outbox.remove(key);
      return;
    }
    if (progress.status === InferenceStatus.STARTED) return;
    const entry = outbox.get(key);
    if (entry === undefined) return;
    const agrees = agreesWith(inference.DeliveryRecord.decode(entry.record), progress);
    if (!agrees) log.warn({ record: key }, "The chain has another answer of the executor than it sent.");
    await outbox.resolve(key, agrees);
  }
}

/** What was delivered is what the finish says: its root, and the counts by which it is paid. A part is compared with nothing. */
function agreesWith(delivery: inference.DeliveryRecord, progress: inference.Progress): boolean {
  if (delivery.response.length === 0) return true;
  const response = sign.ResponseReceipt.decode(delivery.response);
  return (
    compareBytes(delivery.root, progress.root) === 0 &&
    response.promptTokens === progress.promptTokens &&
    response.completionTokens === progress.completionTokens &&
    response.finishReason === progress.finishReason
  );
}
