import type { ChainClient } from "@karat/client";
import { KaratError, sha256, toHex } from "@karat/common";
import { type inference, refOf, sign, statementOf, typeUrls } from "@karat/proto";
import { tokensHash } from "@karat/rules";

/** What a validator needs of one inference to check it; the artifact only for the second half. */
export interface Evidence {
  readonly record: inference.Inference;
  /** Canonical JSON of the request. */
  readonly request: string;
  /** The answer with its payload; its statement hashes to the record's root. */
  readonly finish: inference.FinishRecord;
  /** The counts that the statement has are not those by which the chain pays, or not those of the payload. */
  readonly miscounted: boolean;
  /** Beacon of the anchor: what the seed is made of. */
  readonly beacon: Uint8Array;
  /** Earlier outputs of the same executor that the chain wants judged together with this one. */
  readonly pooled: readonly Evidence[];
}

/** Fetches the parts of a payload that ride not in the transactions; undefined when nobody has them. */
export type PayloadSource = (
  record: inference.Inference,
) => Promise<{ request: string | undefined; finish: inference.FinishRecord } | undefined>;

/**
 * Gathers an inference's request and output: from its start and finish transactions in recording mode full, from the payload
 * stores in mode commit and for what was too long. Undefined when a part cannot be had: the verdict is `unavailable`.
 */
export async function gatherEvidence(
  chain: ChainClient,
  id: Uint8Array,
  payloads: PayloadSource,
  pooledIds: readonly Uint8Array[] = [],
): Promise<Evidence | undefined> {
  const record = await chain.query.inference(id);
  if (!record) return undefined;
  const beacon = await chain.query.beacon(record.anchorHeight);
  // Kept for longer than any duty is open.
  if (!beacon) throw new KaratError("beacon_unavailable", "The chain has not the beacon of the anchor any more.");
  const inline = await fromTransactions(chain, record);
  const fetched = inline.request && inline.finish ? undefined : await payloads(record);
  const request = inline.request ?? fetched?.request;
  const finish = inline.finish ?? fetched?.finish;
  if (!request || !finish) return undefined;
  if (toHex(sha256(statementOf(chain.chainId, finish))) !== toHex(record.root)) return undefined;
  if (!isPrefixOf(record, finish.prefixTokenIds)) return undefined;
  const pooled: Evidence[] = [];
  for (const other of pooledIds) {
    const part = await gatherEvidence(chain, other, payloads);
    // Whoever withholds a part withholds the whole.
    if (part === undefined) return undefined;
    pooled.push(part);
  }
  return { record, beacon: beacon.beacon, pooled, request, finish, miscounted: isMiscounted(record, finish) };
}

/** The same with the artifact, which is in no transaction: it opens to whoever has committed to own values. */
export async function openEvidence(evidence: Evidence, payloads: PayloadSource): Promise<Evidence | undefined> {
  const { finish } = evidence;
  const pooled: Evidence[] = [];
  for (const part of evidence.pooled) {
    const opened = await openEvidence(part, payloads);
    if (opened === undefined) return undefined;
    pooled.push(opened);
  }
  if (finish.artifact.length > 0) return { ...evidence, pooled };
  const artifact = (await payloads(evidence.record))?.finish.artifact;
  return artifact && artifact.length > 0 ? { ...evidence, pooled, finish: { ...finish, artifact } } : undefined;
}

/** What rides in the transactions; the start is known by its request, the finish by its short id. */
async function fromTransactions(
  chain: ChainClient,
  record: inference.Inference,
): Promise<{ request?: string; finish?: inference.FinishRecord }> {
  if (record.recording !== sign.RecordingMode.FULL) return {};
  const [starts, finishes] = await Promise.all([
    batchesOf(chain, "inference_start", orderIdOf(record)),
    batchesOf(chain, "inference_finish", record.id),
  ]);
  const start = starts
    .flatMap((batch) => batch.starts)
    .find(({ request }) => request.length > 0 && toHex(sha256(request)) === toHex(record.requestHash));
  const ref = refOf(record.id);
  const opening = finishes.flatMap((batch) => batch.finishes).find((entry) => entry.ref === ref)?.opening;
  return {
    ...(start && { request: new TextDecoder().decode(start.request) }),
    ...(opening && { finish: finishOf(record, opening) }),
  };
}

/** The batches whose transactions emitted `event` for an inference. */
async function batchesOf(chain: ChainClient, event: string, id: Uint8Array): Promise<inference.MsgRecords[]> {
  const txs = await chain.txSearch(`${event}.inference_id='${toHex(id)}'`);
  return txs
    .flatMap(({ bytes }) => chain.messagesOf(bytes))
    .flatMap(({ typeUrl, value }) => (typeUrl === typeUrls.records ? [value as inference.MsgRecords] : []));
}

function finishOf(record: inference.Inference, opening: inference.Opening): inference.FinishRecord {
  const { id: inferenceId, executor, promptTokens, completionTokens, finishReason, receiptPromptTokens } = record;
  const counts = { promptTokens, completionTokens, finishReason, receiptPromptTokens };
  return { inferenceId, executor, ...counts, ...opening, outputHash: sha256(opening.output), error: "" };
}

/** The order that names the draw, the seed and the request: its own id, unless it goes on behind another. */
export const orderIdOf = ({ id, part }: inference.Inference): Uint8Array => part?.orderId ?? id;

/** The tokens before a part ride in its payload, bound by its id: one that has others has not opened. */
const isPrefixOf = ({ part }: inference.Inference, ids: readonly number[]): boolean =>
  part === undefined ? ids.length === 0 : toHex(tokensHash(ids)) === toHex(part.prefixHash);

const isMiscounted = (record: inference.Inference, finish: inference.FinishRecord): boolean =>
  finish.promptTokens !== record.promptTokens ||
  finish.completionTokens !== record.completionTokens ||
  finish.finishReason !== record.finishReason ||
  finish.tokenIds.length !== record.completionTokens;

const FINISH_NAMES: Readonly<Record<number, string>> = {
  [sign.FinishReason.STOP]: "stop",
  [sign.FinishReason.LENGTH]: "length",
  [sign.FinishReason.STOP_SEQUENCE]: "stop_sequence",
  [sign.FinishReason.CANCELLED]: "cancelled",
};

/** The finish reason as the ML node spells it. */
export const finishName = (reason: sign.FinishReason): string => FINISH_NAMES[reason] ?? "unspecified";
