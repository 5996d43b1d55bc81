/**
 * Records as they ride on chain: what parties signed, without what the chain knows. Both directions are pure and need
 * names for numbers or the reverse; hashing and verifying are the caller's.
 */
import * as inference from "./modules/inference.ts";
import * as sign from "./modules/sign.ts";
import { encodeSigned, type SignedMessage } from "./signBytes.ts";

const scratch = new DataView(new ArrayBuffer(8));

/** The first 8 bytes of an inference id, big-endian: what names it on chain. */
export function refOf(id: Uint8Array): bigint {
  for (let i = 0; i < 8; i++) scratch.setUint8(i, id[i] ?? 0);
  return scratch.getBigUint64(0);
}

/** The numbers by which the chain knows what an authorization and a receipt name. */
export interface Numbers {
  /** `keyKnown`: the account has its key on chain, so that it need not ride along. */
  account(address: string): { readonly number: bigint; readonly keyKnown: boolean };
  participant(operator: string): number;
  model(id: string): number;
}

/** What a batch of one sender holds; `starts` are StartRecords as nodes keep them, and so on. */
export interface OpenBatch {
  /** Node address. */
  readonly sender: string;
  /** Its participant. */
  readonly operator: string;
  readonly starts?: readonly inference.StartRecord[];
  readonly finishes?: readonly OpenFinish[];
  readonly delivered?: readonly Uint8Array[];
  readonly deliveredInPart?: readonly Uint8Array[];
  readonly deliveries?: readonly inference.DeliveryRecord[];
}

export interface OpenFinish {
  readonly record: inference.FinishRecord;
  /** SHA-256 of its statement. */
  readonly root: Uint8Array;
  /** The payload rides along: recording mode full. */
  readonly inline: boolean;
}

const NONE = new Uint8Array();

/** The message that records a batch. `defaults` are the sampling parameters that need not ride along. */
export function compactRecords(batch: OpenBatch, numbers: Numbers, defaults: sign.Sampling): inference.MsgRecords {
  const orders = (batch.starts ?? []).map((record) => ({
    record,
    authorization: sign.RequestAuthorization.decode(record.authorization),
    receipt: sign.Receipt.decode(record.receipt),
  }));
  const baseHeight = orders.reduce(
    (most, { authorization: { anchorHeight } }) => (anchorHeight > most ? anchorHeight : most),
    0n,
  );
  const terms: inference.Terms[] = [];
  const places = new Map<string, number>();
  const placeOf = (authorization: sign.RequestAuthorization): number => {
    const { model, maxOutputTokens, maxInputPrice, maxOutputPrice, sampling } = authorization;
    const usual = sampling !== undefined && sameSampling(sampling, defaults);
    const entry = { model: numbers.model(model), maxOutputTokens, maxInputPrice, maxOutputPrice };
    const term: inference.Terms = { ...entry, sampling: usual ? undefined : sampling };
    const key = String(inference.Terms.encode(term).finish());
    const known = places.get(key);
    if (known !== undefined) return known;
    places.set(key, terms.length);
    return terms.push(term) - 1;
  };
  return {
    sender: batch.sender,
    baseHeight,
    terms,
    starts: orders.map(({ record, authorization, receipt }): inference.StartEntry => {
      const account = numbers.account(authorization.client);
      const own = receipt.executor === batch.operator;
      const { prefix } = record;
      return {
        signature: prefix && authorization.transferAgent === batch.operator ? NONE : record.signature,
        requestHash: record.request.length > 0 && !prefix ? NONE : authorization.requestHash,
        nonce: authorization.nonce,
        client: account.number,
        key: account.keyKnown ? NONE : authorization.key,
        terms: placeOf(authorization),
        maxInputTokens: authorization.maxInputTokens,
        anchorAge: Number(BigInt.asUintN(32, baseHeight - authorization.anchorHeight)),
        transferAgent:
          authorization.transferAgent === batch.operator ? 0 : numbers.participant(authorization.transferAgent),
        executor: own ? 0 : numbers.participant(receipt.executor),
        attempt: receipt.attempt,
        promptTokens: receipt.promptTokens,
        deadlineAfter: Number(BigInt.asIntN(32, receipt.deadlineHeight - baseHeight)),
        receiptSignature: own ? NONE : record.receiptSignature,
        skips: record.skips,
        request: prefix ? NONE : record.request,
        prefix,
        full: prefix !== undefined && authorization.recording === sign.RecordingMode.FULL,
      };
    }),
    finishes: (batch.finishes ?? []).map(finishEntry),
    delivered: (batch.delivered ?? []).map(refOf),
    deliveredInPart: (batch.deliveredInPart ?? []).map(refOf),
    deliveries: [...(batch.deliveries ?? [])],
  };
}

function finishEntry({ record, root, inline }: OpenFinish): inference.FinishEntry {
  const failed = record.error !== "";
  const { artifactRoot, promptHash, output, tokenIds, artifact, prefixTokenIds } = record;
  return {
    ref: refOf(record.inferenceId),
    root: failed || inline ? NONE : root,
    completionTokens: record.completionTokens,
    finishReason: record.finishReason === sign.FinishReason.STOP ? 0 : record.finishReason,
    // What does not fit is for the chain to refuse, not for its neighbours to fail with.
    unusedPromptTokens: failed ? 0 : (record.receiptPromptTokens - record.promptTokens) >>> 0,
    error: record.error,
    opening: inline && !failed ? { artifactRoot, promptHash, output, tokenIds, artifact, prefixTokenIds } : undefined,
  };
}

const SAMPLING_FIELDS = [
  "temperatureMicros",
  "topK",
  "topPMicros",
  "minPMicros",
  "frequencyPenaltyMicros",
  "presencePenaltyMicros",
] as const;

const sameSampling = (a: sign.Sampling, b: sign.Sampling): boolean =>
  SAMPLING_FIELDS.every((name) => a[name] === b[name]);

/** What a start's entry leaves out, as its reader knows it. */
export interface StartNames {
  readonly chainId: string;
  readonly client: string;
  readonly key: Uint8Array;
  readonly model: string;
  /** Operator addresses. */
  readonly transferAgent: string;
  readonly requestHash: Uint8Array;
}

/** The authorization that an entry stands for. */
export function openAuthorizationOf(
  entry: inference.StartEntry,
  terms: inference.Terms,
  baseHeight: bigint,
  names: StartNames,
  defaults: sign.Sampling,
): SignedMessage["authorization"] {
  return {
    ...names,
    maxInputTokens: entry.maxInputTokens,
    maxOutputTokens: terms.maxOutputTokens,
    maxInputPrice: terms.maxInputPrice,
    maxOutputPrice: terms.maxOutputPrice,
    sampling: terms.sampling ?? defaults,
    nonce: entry.nonce,
    anchorHeight: baseHeight - BigInt(entry.anchorAge),
    recording: entry.request.length > 0 || entry.full ? sign.RecordingMode.FULL : sign.RecordingMode.COMMIT,
  };
}

/** Canonical bytes that name a part of an order; their SHA-256 is its inference id. */
export function partNameOf(
  chainId: string,
  orderId: Uint8Array,
  attempt: number,
  { tokens: prefixTokens, hash: prefixHash }: inference.Prefix,
): Uint8Array {
  return encodeSigned("continuation", { chainId, orderId, attempt, prefixTokens, prefixHash });
}

/** Canonical bytes of what the executor states of its answer; their SHA-256 is the root on chain. */
export function statementOf(chainId: string, record: Statement): Uint8Array {
  const { inferenceId, executor, outputHash, artifactRoot, promptTokens, completionTokens } = record;
  const { finishReason, promptHash } = record;
  return encodeSigned("response", {
    chainId,
    inferenceId,
    executor,
    outputHash,
    artifactRoot,
    promptTokens,
    completionTokens,
    finishReason,
    promptHash,
  });
}

export type Statement = Pick<
  inference.FinishRecord,
  | "inferenceId"
  | "executor"
  | "outputHash"
  | "artifactRoot"
  | "promptTokens"
  | "completionTokens"
  | "finishReason"
  | "promptHash"
>;
