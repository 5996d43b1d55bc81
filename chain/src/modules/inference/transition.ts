/**
 * The life of an inference as a table of states and edges, and what each edge does to the record: pure functions from
 * values to the new value and what is to be given back to the client's deposit.
 */
import { inference, type SignedMessage, type sign } from "@karat/proto";
import { ChainError } from "../../app/errors.ts";
import { ERRORS } from "./errors.ts";
import { chargeOf } from "./parts.ts";

type Inference = inference.Inference;
export type InferenceStatus = inference.InferenceStatus;
const Status = inference.InferenceStatus;

export type Step = "finish" | "deliver" | "miss" | "settle" | "invalidate" | "leaveUndecided";

/** From a status, by a step, to a status. What is not listed cannot happen. */
export const EDGES: Readonly<Record<InferenceStatus, Readonly<Partial<Record<Step, InferenceStatus>>>>> = {
  [Status.UNSPECIFIED]: {},
  [Status.STARTED]: { finish: Status.FINISHED, deliver: Status.STARTED, miss: Status.MISSED },
  [Status.FINISHED]: {
    deliver: Status.FINISHED,
    settle: Status.SETTLED,
    invalidate: Status.INVALID,
    leaveUndecided: Status.INCONCLUSIVE,
  },
  [Status.SETTLED]: {},
  [Status.MISSED]: {},
  [Status.INVALID]: {},
  [Status.INCONCLUSIVE]: {},
};

export const canStep = (status: InferenceStatus, step: Step): boolean => EDGES[status][step] !== undefined;

/** The status that `step` leads to. Throws `illegalStep`. */
export function follow(status: InferenceStatus, step: Step): InferenceStatus {
  const next = EDGES[status][step];
  if (next === undefined) throw new ChainError(ERRORS.illegalStep, `no ${step} from status ${status}`);
  return next;
}

/** True where nothing can happen to an inference any more but being forgotten. */
export const isTerminal = (status: InferenceStatus): boolean => Object.keys(EDGES[status]).length === 0;

export interface Change {
  readonly inference: Inference;
  /** ukarat to give back to the client's deposit. */
  readonly unlock: bigint;
}

export interface Started {
  readonly id: Uint8Array;
  readonly authorization: SignedMessage["authorization"];
  readonly receipt: Pick<sign.Receipt, "executor" | "attempt" | "promptTokens" | "deadlineHeight">;
  /** Undefined: the defaults. */
  readonly sampling: sign.Sampling | undefined;
  readonly price: { readonly input: bigint; readonly output: bigint };
  readonly locked: bigint;
  readonly height: bigint;
  readonly epoch: bigint;
  /** Undefined: it begins the answer. */
  readonly part: inference.Part | undefined;
}

/** The first record of an inference. */
export function start(started: Started): Inference {
  const { id, authorization, receipt, sampling, price, locked, height, epoch, part } = started;
  return {
    id,
    client: authorization.client,
    model: authorization.model,
    transferAgent: authorization.transferAgent,
    executor: receipt.executor,
    attempt: receipt.attempt,
    requestHash: authorization.requestHash,
    sampling,
    anchorHeight: authorization.anchorHeight,
    maxOutputTokens: authorization.maxOutputTokens,
    inputPrice: price.input,
    outputPrice: price.output,
    locked,
    startHeight: height,
    deadlineHeight: receipt.deadlineHeight,
    status: Status.STARTED,
    epoch,
    receiptPromptTokens: receipt.promptTokens,
    recording: authorization.recording,
    finishHeight: 0n,
    root: NONE,
    promptTokens: 0,
    completionTokens: 0,
    finishReason: 0,
    cost: 0n,
    deliveryHeight: 0n,
    deliveredRoot: NONE,
    deliveryComplete: false,
    settleHeight: 0n,
    part,
    continued: undefined,
  };
}

const NONE = new Uint8Array();

export interface Finished {
  readonly root: Uint8Array;
  readonly promptTokens: number;
  readonly completionTokens: number;
  readonly finishReason: sign.FinishReason;
}

/** Charged is what was used at the offer, as far as it is held; the rest goes back at once. */
export function finish(before: Inference, finished: Finished, height: bigint): Change {
  const { root, promptTokens, completionTokens, finishReason } = finished;
  const charged = chargeOf(before, finished);
  return {
    inference: {
      ...before,
      status: follow(before.status, "finish"),
      finishHeight: height,
      root,
      promptTokens,
      completionTokens,
      finishReason,
      cost: charged,
      locked: charged,
    },
    unlock: before.locked - charged,
  };
}

/** `root`: what the transfer agent says it was sent; empty where it agrees with the finish, or delivered a part. */
export function deliver(before: Inference, root: Uint8Array, complete: boolean, height: bigint): Inference {
  return {
    ...before,
    status: follow(before.status, "deliver"),
    deliveryHeight: height,
    deliveredRoot: root,
    deliveryComplete: complete,
  };
}

/** Ends without payment: everything that is held goes back. */
export function refund(before: Inference, step: "miss" | "invalidate" | "leaveUndecided"): Change {
  return {
    inference: { ...before, status: follow(before.status, step), locked: 0n },
    unlock: before.locked,
  };
}

/** Paid: `before.locked` has left the deposit. */
export function settle(before: Inference, height: bigint): Inference {
  return { ...before, status: follow(before.status, "settle"), locked: 0n, settleHeight: height };
}

/**
 * The transfer agent says that it was sent, in full, something else than the executor says it wrote: one of the two is
 * wrong, and the inference is checked whatever the rate.
 */
export function isDisputed(record: Inference): boolean {
  return (
    record.finishHeight > 0n &&
    record.deliveryHeight > 0n &&
    record.deliveryComplete &&
    record.deliveredRoot.length > 0 &&
    !sameBytes(record.deliveredRoot, record.root)
  );
}

/**
 * True where a statement that the executor signed is not the one that its finish has on chain: `root` is the statement's
 * hash. The counts are compared, too: the chain pays by those of the finish, which it cannot hold against the root.
 */
export function contradicts(finished: Inference, statement: sign.ResponseReceipt, root: Uint8Array): boolean {
  return (
    !sameBytes(finished.root, root) ||
    finished.promptTokens !== statement.promptTokens ||
    finished.completionTokens !== statement.completionTokens ||
    finished.finishReason !== statement.finishReason
  );
}

export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}
