import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import type { ChainClient, TxSender } from "@karat/client";
import { fromHex, KaratError, type Logger, messageOf, sha256, toHex, utf8 } from "@karat/common";
import { typeUrls, verification } from "@karat/proto";
import { checkCommitment, openValues } from "@karat/rules";
import { type Evidence, gatherEvidence, openEvidence, type PayloadSource } from "./evidence.ts";
import type { Opening, Openings } from "./openings.ts";
import { RecordSender } from "./recordSender.ts";
import { interpret, type Scored, type Scorer } from "./score.ts";

const MAX_QUEUED = 1_000;
/** Openings of answered duties that are looked after in one block. */
const MAX_SWEPT = 16;
const SALT_BYTES = 32;
/** Members of the committee may still commit: the same verdict again with a later block. */
const STILL_COMMITTING = 14;
/** An artifact that has not opened so many blocks before the deadline will not. */
const GIVE_UP_BLOCKS = 3n;
const ASKED_AT_ONCE = 4;
const RETRY_MS = 250;
const { CheckStatus, Verdict } = verification;
const OPEN: readonly verification.CheckStatus[] = [CheckStatus.PENDING, CheckStatus.ANSWERED, CheckStatus.COMMITTEE];

export interface DutyOptions {
  readonly chain: ChainClient;
  readonly sender: TxSender;
  readonly scorer: Scorer;
  readonly payloads: PayloadSource;
  readonly openings: Openings;
  /** Operator address. */
  readonly operator: string;
  readonly concurrency: number;
  readonly log: Logger;
  readonly signal: AbortSignal;
  readonly onVerdict: (verdict: verification.Verdict) => void;
}

/**
 * Works off the duties that the chain has open for this validator, blindly: own values first, their salted hash on chain, and only then the
 * executor's artifact and a verdict that opens the hash. The chain is the only memory beside the openings: what is open there and not in work
 * here is taken up, so that a restart, a lost event or a verdict that did not get through loses nothing.
 */
export class DutyRunner {
  readonly #options: DutyOptions;
  readonly #commitments: RecordSender<verification.CheckCommitment>;
  readonly #verdicts: RecordSender<verification.VerdictRecord>;
  readonly #waiting = new Map<string, verification.Duty>();
  readonly #active = new Set<string>();
  /** Verdicts that wait for the other members of a committee. */
  readonly #held = new Map<string, verification.VerdictRecord>();
  /** Openings that a committee may still ask for, the longest not looked after first. */
  readonly #kept: Set<string>;
  #sweeping = false;
  #height = 0n;

  constructor(options: DutyOptions) {
    this.#options = options;
    const { sender, log, signal } = options;
    this.#kept = new Set(options.openings.ids());
    this.#commitments = new RecordSender({
      sender,
      log,
      signal,
      typeUrl: typeUrls.commitChecks,
      messageOf: (address, commitments) => ({ sender: address, commitments }),
    });
    this.#verdicts = new RecordSender({
      sender,
      log,
      signal,
      typeUrl: typeUrls.submitVerdicts,
      messageOf: (address, verdicts) => ({ sender: address, verdicts }),
    });
  }

  /** Duties in work or waiting. */
  get open(): readonly string[] {
    return [...this.#active, ...this.#waiting.keys(), ...this.#held.keys()];
  }

  /** Takes up what is open on chain. Called at the start, after each block that names this validator, and now and then. */
  async refresh(height: bigint): Promise<void> {
    this.#height = height;
    const { chain, operator } = this.#options;
    for (const duty of await chain.query.pendingDuties(operator, 200)) {
      const id = toHex(duty.inferenceId);
      if (this.#active.has(id) || this.#waiting.has(id) || this.#held.has(id)) continue;
      if (duty.deadlineHeight <= height) continue;
      if (this.#waiting.size < MAX_QUEUED) this.#waiting.set(id, duty);
    }
    this.#pump();
  }

  /** With each block: verdicts that waited for others are sent again, openings that nobody can ask for any more are dropped. */
  block(height: bigint): void {
    this.#height = height;
    void this.#sweep();
    for (const [id, record] of this.#held) {
      if (this.#active.has(id)) continue;
      this.#held.delete(id);
      this.#start(id, () => this.#reveal(id, record));
    }
  }

  /** Waits until nothing is in work. */
  async drain(): Promise<void> {
    this.#waiting.clear();
    while (this.#active.size > 0) await sleep(20);
    await Promise.all([this.#commitments.idle(), this.#verdicts.idle()]);
  }

  async #sweep(): Promise<void> {
    const { chain, openings, log } = this.#options;
    if (this.#sweeping) return;
    this.#sweeping = true;
    try {
      for (const id of [...this.#kept].slice(0, MAX_SWEPT)) {
        const isOpen = this.open.includes(id) || OPEN.includes((await chain.query.check(fromHex(id)))?.status ?? 0);
        this.#kept.delete(id);
        if (isOpen) this.#kept.add(id);
        else openings.delete(id);
      }
    } catch (error) {
      log.debug({ error: messageOf(error) }, "Could not look after openings now.");
    } finally {
      this.#sweeping = false;
    }
  }

  #pump(): void {
    for (const [id, duty] of this.#waiting) {
      if (this.#active.size >= this.#options.concurrency) return;
      this.#waiting.delete(id);
      this.#start(id, () => this.#perform(id, duty));
    }
  }

  #start(id: string, work: () => Promise<void>): void {
    const { log } = this.#options;
    this.#active.add(id);
    work()
      // Not lost: the duty stays open on chain and is taken up again by the next refresh, until its deadline.
      .catch((error) => log.warn({ inference: id, error: messageOf(error) }, "Could not check an inference now."))
      .finally(() => {
        this.#active.delete(id);
        this.#pump();
      });
  }

  async #perform(id: string, duty: verification.Duty): Promise<void> {
    const { chain, payloads, scorer, openings, log } = this.#options;
    const { inferenceId } = duty;
    if (duty.verdict !== Verdict.UNSPECIFIED) return this.#openWindow(id, duty);
    const check = await chain.query.check(inferenceId);
    const evidence = await gatherEvidence(chain, inferenceId, payloads, check?.pooled);
    if (!evidence) return this.#reveal(id, verdictRecord(inferenceId, Verdict.UNAVAILABLE));
    if (duty.commitment.length === 0) {
      let opening = openings.get(id); // of an attempt that did not get through
      if (!opening) {
        const own = await scorer.prefill(evidence, chain.chainId);
        if ("verdict" in own && own.verdict !== Verdict.INVALID) {
          return this.#reveal(id, scoredRecord(inferenceId, own));
        }
        opening = openingOf(own);
      }
      const code = await this.#commit(id, inferenceId, opening);
      if (code !== 0) return;
    }
    const opening = openings.get(id);
    if (!opening) {
      log.error({ inference: id }, "The opening of a commitment is lost: the duty cannot be answered.");
      return;
    }
    const scored = opening.impossible ? interpret(opening.impossible) : await this.#scoreOpened(duty, evidence);
    const record = scored ? scoredRecord(inferenceId, scored) : verdictRecord(inferenceId, Verdict.UNAVAILABLE);
    await this.#reveal(id, withOpening(record, opening));
  }

  /** There is a committee, which compares windows of values that were committed to: the verdict again, with its own. */
  async #openWindow(id: string, { inferenceId, verdict }: verification.Duty): Promise<void> {
    const opening = this.#options.openings.get(id);
    if (opening) return this.#reveal(id, withOpening(verdictRecord(inferenceId, verdict), opening));
    this.#options.log.error({ inference: id }, "The values of a commitment are lost: its window cannot be opened.");
  }

  /** Keeps the opening before the commitment can be on chain. */
  async #commit(id: string, inferenceId: Uint8Array, opening: Opening): Promise<number> {
    const { chain, openings, operator: validator } = this.#options;
    openings.put(id, opening);
    this.#kept.add(id);
    const commitment = checkCommitment({ chainId: chain.chainId, inferenceId, validator, ...opening });
    return this.#commitments.send({ inferenceId, commitment });
  }

  /** Undefined when the artifact was not to be had until the deadline came near. */
  async #scoreOpened(duty: verification.Duty, evidence: Evidence): Promise<Scored | undefined> {
    for (let attempt = 0; attempt < ASKED_AT_ONCE; attempt++) {
      const whole = await openEvidence(evidence, this.#options.payloads);
      if (whole) return this.#options.scorer.score(whole, this.#options.chain.chainId);
      // The node that has it may not have seen the block with the commitment yet.
      await sleep(RETRY_MS, undefined, { signal: this.#options.signal });
    }
    if (this.#height + GIVE_UP_BLOCKS >= duty.deadlineHeight) return undefined;
    throw new KaratError("payload_unavailable", "The artifact has not opened yet.");
  }

  async #reveal(id: string, record: verification.VerdictRecord): Promise<void> {
    const { log, onVerdict } = this.#options;
    const window = await this.#windowOf(id, record);
    const code = window === "not drawn" ? STILL_COMMITTING : await this.#verdicts.send({ ...record, window });
    if (code === STILL_COMMITTING) {
      if (this.#held.size < MAX_QUEUED) this.#held.set(id, record);
      return;
    }
    if (code !== 0) return;
    log.info({ inference: id, verdict: record.verdict, pBucket: record.pBucket }, "Checked an inference.");
    onVerdict(record.verdict);
  }

  /** What a committee's comparison wants to see of the values; undefined where there is no committee. */
  async #windowOf(
    id: string,
    { inferenceId, positions }: verification.VerdictRecord,
  ): Promise<verification.ValuesWindow | "not drawn" | undefined> {
    const opening = positions > 0 ? this.#options.openings.get(id) : undefined;
    if (!opening) return undefined;
    const { check, window } = await this.#options.chain.query.checkWithWindow(inferenceId);
    if (!check?.duties.some(({ committee }) => committee)) return undefined;
    if (window === 0) return "not drawn";
    const { coded, path } = openValues(opening.windows, positions, window - 1);
    return { coded, path: [...path] };
  }
}

const withOpening = (
  record: verification.VerdictRecord,
  { valuesHash, salt, gatedMargins, positions }: Opening,
): verification.VerdictRecord => ({ ...record, valuesHash, salt, gatedMargins, positions });

function openingOf(own: Awaited<ReturnType<Scorer["prefill"]>>): Opening {
  const salt = new Uint8Array(randomBytes(SALT_BYTES));
  if (!("verdict" in own)) return { ...own, salt };
  // Impossible whatever the artifact says: there are no own values.
  return {
    valuesHash: sha256(utf8(own.report)),
    windows: [],
    gatedMargins: 0,
    positions: 0,
    salt,
    impossible: own.report,
  };
}

const verdictRecord = (inferenceId: Uint8Array, verdict: verification.Verdict): verification.VerdictRecord =>
  verification.VerdictRecord.fromPartial({ inferenceId, verdict, evidenceHash: sha256(inferenceId) });

function scoredRecord(inferenceId: Uint8Array, { report, reason: _, ...scored }: Scored): verification.VerdictRecord {
  return { ...verdictRecord(inferenceId, scored.verdict), ...scored, evidenceHash: sha256(utf8(report)) };
}
