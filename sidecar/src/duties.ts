import { setTimeout as sleep } from "node:timers/promises";
import { type ChainClient, isTransient, type TxSender } from "@karat/client";
import { isKaratError, type Logger, messageOf, sha256, toHex, utf8 } from "@karat/common";
import { typeUrls, verification } from "@karat/proto";
import { gatherEvidence, type PayloadSource } from "./evidence.ts";
import type { Scorer } from "./score.ts";

const MAX_QUEUED = 1_000;
const MAX_BATCH = 64;
/** A verdict that ends a committee touches most: duties, standing, refund. */
const GAS_PER_TX = 100_000n;
const GAS_PER_VERDICT = 100_000n;

export interface DutyOptions {
  readonly chain: ChainClient;
  readonly sender: TxSender;
  readonly scorer: Scorer;
  readonly payloads: PayloadSource;
  /** Operator address. */
  readonly operator: string;
  readonly concurrency: number;
  readonly log: Logger;
  readonly signal: AbortSignal;
  readonly onVerdict: (verdict: verification.Verdict) => void;
}

/**
 * Works off the duties that the chain has open for this validator. The chain is the only memory: what is open there and
 * not in work here is taken up, so that a restart, a lost event or a verdict that did not get through loses nothing.
 * Verdicts leave in batches, one transaction at a time.
 */
export class DutyRunner {
  readonly #options: DutyOptions;
  readonly #waiting = new Map<string, verification.Duty>();
  readonly #active = new Set<string>();
  #verdicts: verification.VerdictRecord[] = [];
  #sending: Promise<void> | undefined;

  constructor(options: DutyOptions) {
    this.#options = options;
  }

  /** Duties in work or waiting. */
  get open(): readonly string[] {
    return [...this.#active, ...this.#waiting.keys()];
  }

  /** Takes up what is open on chain. Called at the start, after each block that names this validator, and now and then. */
  async refresh(height: bigint): Promise<void> {
    const { chain, operator } = this.#options;
    for (const duty of await chain.query.pendingDuties(operator, 200)) {
      const id = toHex(duty.inferenceId);
      if (this.#active.has(id) || this.#waiting.has(id) || duty.deadlineHeight <= height) continue;
      if (this.#waiting.size < MAX_QUEUED) this.#waiting.set(id, duty);
    }
    this.#pump();
  }

  /** Waits until nothing is in work. */
  async drain(): Promise<void> {
    this.#waiting.clear();
    while (this.#active.size > 0) await sleep(20);
    await this.#sending;
  }

  #pump(): void {
    for (const [id, duty] of this.#waiting) {
      if (this.#active.size >= this.#options.concurrency) return;
      this.#waiting.delete(id);
      this.#active.add(id);
      void this.#perform(id, duty);
    }
  }

  async #perform(id: string, duty: verification.Duty): Promise<void> {
    const { log, onVerdict } = this.#options;
    try {
      const record = await this.#judge(duty);
      log.info(
        { inference: id, verdict: record.verdict, pBucket: record.pBucket, committee: duty.committee },
        "Checked an inference.",
      );
      onVerdict(record.verdict);
      this.#verdicts.push(record);
      await this.#flush();
    } catch (error) {
      // Not lost: the duty stays open on chain and is taken up again by the next refresh, until its deadline.
      log.warn({ inference: id, error: messageOf(error) }, "Could not check an inference now.");
    } finally {
      this.#active.delete(id);
      this.#pump();
    }
  }

  async #judge(duty: verification.Duty): Promise<verification.VerdictRecord> {
    const { chain, payloads, scorer } = this.#options;
    const { inferenceId } = duty;
    const evidence = await gatherEvidence(chain, inferenceId, payloads);
    const record = {
      inferenceId,
      pBucket: 0,
      distanceMicros: 0n,
      gatedMargins: 0,
      positions: 0,
      evidenceHash: new Uint8Array(),
    };
    if (!evidence) return { ...record, verdict: verification.Verdict.UNAVAILABLE };
    const beacon = await chain.query.beacon(evidence.record.anchorHeight);
    if (!beacon) return { ...record, verdict: verification.Verdict.ABSTAIN };
    const { report, reason, ...scored } = await scorer.score(evidence, {
      chainId: chain.chainId,
      beacon: beacon.beacon,
    });
    this.#options.log.debug({ inference: toHex(inferenceId), reason, report }, "Scored.");
    return { ...record, ...scored, evidenceHash: sha256(utf8(report)) };
  }

  /** One transaction at a time; verdicts that come meanwhile leave with the next. */
  async #flush(): Promise<void> {
    while (this.#verdicts.length > 0) {
      this.#sending ??= this.#send().finally(() => {
        this.#sending = undefined;
      });
      await this.#sending;
    }
  }

  async #send(): Promise<void> {
    const { sender, log, signal } = this.#options;
    const verdicts = this.#verdicts.splice(0, MAX_BATCH);
    const value = { sender: sender.address, verdicts };
    for (let attempt = 1; ; attempt++) {
      try {
        const gas = GAS_PER_TX + GAS_PER_VERDICT * BigInt(verdicts.length);
        const tx = await sender.send([{ typeUrl: typeUrls.submitVerdicts, value }], { gas, timeoutBlocks: 5n, signal });
        const { results } = verification.MsgSubmitVerdictsResponse.decode(tx.responses[0] ?? new Uint8Array());
        for (const { inferenceId, code, log: why } of results) {
          if (code !== 0) log.warn({ inference: toHex(inferenceId), code, why }, "The chain refused a verdict.");
        }
        return;
      } catch (error) {
        if (signal.aborted || attempt >= 20 || !(isTransient(error) || isKaratError(error, "tx_expired"))) throw error;
        await sleep(Math.min(5_000, 250 * 2 ** attempt), undefined, { signal });
      }
    }
  }
}
