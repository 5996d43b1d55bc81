import { verifyBytes, verifyMessage } from "@karat/client";
import { messageOf } from "@karat/common";
import { DOMAIN, sign } from "@karat/proto";
import { compareBytes } from "@karat/rules";
import type { Candidate } from "../chain/candidates.ts";
import { partId } from "../executor/checks.ts";
import {
  type EndLine,
  type ErrorObject,
  type ExecuteLine,
  type Executor,
  isLastLine,
  type ReceiptLine,
  type SkippedAttempt,
  type TokenLine,
} from "../executor/protocol.ts";
import type { Order } from "./orders.ts";

/** An executor that was asked and did not come to answer. */
export interface Passed {
  readonly skip: SkippedAttempt;
  /** What it said about the request, where it said something. */
  readonly fault?: ErrorObject;
  readonly timedOut: boolean;
}

/** An executor that gave a receipt. */
export interface Promised {
  readonly receipt: ReceiptLine;
  readonly promise: sign.Receipt;
}

export type FirstLine = TokenLine | EndLine;

/** Where an executor is to go on. */
export interface Behind {
  /** Ids of the tokens that the client has. */
  readonly prefix: readonly number[];
  /** Encoded StartRecord of the executor that began. */
  readonly orderStart: Uint8Array;
}

export interface AttemptOptions {
  readonly chainId: string;
  readonly order: Order;
  readonly candidate: Candidate;
  readonly attempt: number;
  readonly skips: readonly SkippedAttempt[];
  readonly executor: Executor;
  /** Undefined: it begins. */
  readonly behind: Behind | undefined;
  /** Signs the id of what goes on behind them. */
  readonly signPart: (id: Uint8Array) => Uint8Array;
  /** Longest wait for anything after the receipt. */
  readonly idleMs: number;
}

type Next = ExecuteLine | "timeout" | "ended";

/** One executor's turn. Whoever leaves it early calls `close`, which cancels the computation. */
export class Attempt {
  readonly #options: AttemptOptions;
  readonly #stop = new AbortController();
  readonly #client: AbortSignal;
  readonly #cancel = (): void => this.#stop.abort();
  readonly #batches: AsyncIterator<readonly ExecuteLine[]>;
  /** Lines that have come, and the next of them. */
  #lines: readonly ExecuteLine[] = [];
  #at = 0;
  /** Names what this executor gives. */
  readonly inferenceId: Uint8Array;
  /** The executor has said its last: there is nothing to cancel, and its connection can be used again. */
  #over = false;

  /** `signal` is the client's: when it goes, so does the executor's work. */
  constructor(options: AttemptOptions, signal: AbortSignal) {
    this.#options = options;
    const { chainId, order, attempt, skips, executor, behind } = options;
    const { bytes, signature, inferenceId: orderId } = order.authorization;
    this.inferenceId = partId({ chainId, orderId, attempt, prefix: behind?.prefix });
    const request = {
      authorization: bytes,
      signature,
      request: order.request.canonical,
      attempt,
      skips,
      stream: order.request.stream,
      ...(behind ? { ...behind, prefixSignature: options.signPart(this.inferenceId) } : {}),
      ...(executor.own ? { opened: openedOf(order) } : {}),
    };
    // Not `AbortSignal.any`, which costs several times as much.
    this.#client = signal;
    signal.addEventListener("abort", this.#cancel);
    if (signal.aborted) this.#stop.abort();
    this.#batches = executor.execute(request, this.#stop.signal)[Symbol.asyncIterator]();
  }

  /** Waits `withinMs` for the receipt. */
  async receipt(withinMs: number): Promise<Promised | Passed> {
    const line = await this.#next(withinMs);
    if (typeof line === "string") return this.#passed(line, undefined, line === "timeout");
    if (line.type === "busy") return this.#busy(line.signature);
    if (line.type === "error") return this.#passed(reasonOf(line.error), line.error);
    if (line.type !== "receipt") return this.#passed("no_receipt");
    const promise = this.#openReceipt(line);
    return promise ? { receipt: line, promise } : this.#passed("invalid_receipt");
  }

  /** The first line after the receipt: until then another executor can still take over. */
  async first(): Promise<FirstLine | Passed> {
    const line = await this.next();
    if (typeof line === "string") return this.#passed(line === "timeout" ? "silent" : "died");
    if (line.type === "busy") return this.#busy(line.signature);
    if (line.type === "error") return this.#passed(reasonOf(line.error), line.error);
    return line.type === "token" || line.type === "end" ? line : this.#passed("out_of_order");
  }

  /** What it gave does not hold: it is called off, though it has said its last. */
  refuse(reason: string): Passed {
    this.#over = false;
    return this.#passed(reason);
  }

  /** The next line, or `timeout` after `withinMs` of silence. */
  next(withinMs = this.#options.idleMs): Promise<Next> {
    return this.#next(Math.min(withinMs, this.#options.idleMs));
  }

  /** The next line is here already. */
  get hasNext(): boolean {
    return this.#at < this.#lines.length;
  }

  get own(): boolean {
    return this.#options.executor.own;
  }

  close(): void {
    this.#client.removeEventListener("abort", this.#cancel);
    if (!this.#over) this.#stop.abort();
    // The executor's own clean-up may still run; nobody waits for it.
    this.#batches.return?.()?.catch(() => undefined);
  }

  async #next(timeoutMs: number): Promise<Next> {
    while (!this.hasNext) {
      const batch = await this.#batch(timeoutMs);
      if (typeof batch === "string") {
        this.#over = batch === "ended";
        return batch;
      }
      this.#lines = batch;
      this.#at = 0;
    }
    const line = this.#lines[this.#at++]!;
    this.#over = isLastLine(line);
    return line;
  }

  /** What has come while this process stood still is read before it counts as late: timers are first when it goes on. */
  async #batch(timeoutMs: number): Promise<readonly ExecuteLine[] | "timeout" | "ended"> {
    let timer: NodeJS.Timeout | undefined;
    const timeout = new Promise<"timeout">((resolve) => {
      timer = setTimeout(() => setImmediate(resolve, "timeout"), timeoutMs);
    });
    try {
      const next = await Promise.race([this.#batches.next(), timeout]);
      if (next === "timeout") return next;
      return next.done ? "ended" : next.value;
    } catch (error) {
      return [{ type: "error", error: { code: "executor_failed", message: messageOf(error) } }];
    } finally {
      clearTimeout(timer);
    }
  }

  #busy(signature: Uint8Array): Passed {
    const { chainId, order, attempt, candidate } = this.#options;
    const { inferenceId } = order.authorization;
    const executor = candidate.member.operator;
    const statement = { chainId, inferenceId, attempt, executor };
    const signed = verifyMessage("busy", statement, signature, candidate.member.nodeKey);
    return {
      skip: { attempt, reason: signed ? "busy" : "invalid_busy", ...(signed ? { busySignature: signature } : {}) },
      timedOut: false,
    };
  }

  #passed(reason: string, fault?: ErrorObject, timedOut = false): Passed {
    const skip = { attempt: this.#options.attempt, reason };
    return { skip, timedOut, ...(fault ? { fault } : {}) };
  }

  /** The receipt's content when it is signed by the executor and is about this attempt. */
  #openReceipt(line: ReceiptLine): sign.Receipt | undefined {
    const { chainId, order, attempt, candidate, behind, executor } = this.#options;
    if (!executor.own && !verifyBytes(line.receipt, line.signature, candidate.member.nodeKey)) return undefined;
    const receipt = sign.Receipt.decode(line.receipt);
    const { message } = order.authorization;
    const fits =
      receipt.domain === DOMAIN.receipt &&
      receipt.chainId === chainId &&
      receipt.attempt === attempt &&
      receipt.executor === candidate.member.operator &&
      receipt.promptTokens <= message.maxInputTokens + (behind?.prefix.length ?? 0) &&
      receipt.deadlineHeight > message.anchorHeight &&
      compareBytes(receipt.inferenceId, this.inferenceId) === 0;
    return fits ? receipt : undefined;
  }
}

const openedOf = ({ authorization, request }: Order) => ({
  authorization: authorization.message,
  orderId: authorization.inferenceId,
  sanitized: request.sanitized,
});

export const isPassed = <T extends object>(outcome: T | Passed): outcome is Passed => "skip" in outcome;

const reasonOf = (error: ErrorObject): string => `refused:${error.code}`.slice(0, 64);
