import { type ChainClient, openAuthorization } from "@karat/client";
import { KaratError, toHex } from "@karat/common";
import { type inference, sign, typeUrls } from "@karat/proto";

/** What a validator needs of one inference to check it; the artifact only for the second half. */
export interface Evidence {
  readonly record: inference.Inference;
  /** Canonical JSON of the request. */
  readonly request: string;
  readonly finish: inference.FinishRecord;
  /** Beacon of the anchor: what the seed is made of. */
  readonly beacon: Uint8Array;
  /** Earlier outputs of the same executor that the chain wants judged together with this one. */
  readonly pooled: readonly Evidence[];
}

/** Fetches the parts of a payload that ride not in the transactions; undefined when nobody has them. */
export type PayloadSource = (
  record: inference.Inference,
) => Promise<{ request: string | undefined; finish: Partial<inference.FinishRecord> } | undefined>;

/**
 * Gathers an inference's request and output: from its start and finish transactions in recording mode full, from the payload
 * stores in mode commit. Undefined when a part cannot be had: the verdict is `unavailable`.
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
  const start = await findRecord<inference.MsgStartInferences, inference.StartRecord>(
    chain,
    "inference_start",
    id,
    (message) => message.records.find((r) => sameId(openId(r), id)),
  );
  const finish = await findRecord<inference.MsgFinishInferences, inference.FinishRecord>(
    chain,
    "inference_finish",
    id,
    (message) => message.records.find((r) => sameId(r.inferenceId, id)),
  );
  if (!start || !finish) return undefined;
  const pooled: Evidence[] = [];
  for (const other of pooledIds) {
    const part = await gatherEvidence(chain, other, payloads);
    // Whoever withholds a part withholds the whole.
    if (part === undefined) return undefined;
    pooled.push(part);
  }
  const known = { record, beacon: beacon.beacon, pooled };
  if (start.request.length > 0) return { ...known, request: new TextDecoder().decode(start.request), finish };
  const fetched = await payloads(record);
  return fetched?.request === undefined
    ? undefined
    : { ...known, request: fetched.request, finish: { ...finish, ...fetched.finish } };
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

const MESSAGE_OF = { inference_start: typeUrls.startInferences, inference_finish: typeUrls.finishInferences } as const;

/** The record of one inference among the batches whose transactions emitted `event` for it. */
async function findRecord<M, R>(
  chain: ChainClient,
  event: keyof typeof MESSAGE_OF,
  id: Uint8Array,
  pick: (message: M) => R | undefined,
): Promise<R | undefined> {
  const txs = await chain.txSearch(`${event}.inference_id='${toHex(id)}'`);
  for (const tx of txs) {
    for (const { typeUrl, value } of chain.messagesOf(tx.bytes)) {
      const found = typeUrl === MESSAGE_OF[event] ? pick(value as M) : undefined;
      if (found) return found;
    }
  }
  return undefined;
}

function openId(record: inference.StartRecord): Uint8Array {
  try {
    return openAuthorization(record.authorization, record.signature).inferenceId;
  } catch {
    return new Uint8Array();
  }
}

const sameId = (a: Uint8Array, b: Uint8Array): boolean => toHex(a) === toHex(b);

const FINISH_NAMES: Readonly<Record<number, string>> = {
  [sign.FinishReason.STOP]: "stop",
  [sign.FinishReason.LENGTH]: "length",
  [sign.FinishReason.STOP_SEQUENCE]: "stop_sequence",
  [sign.FinishReason.CANCELLED]: "cancelled",
};

/** The finish reason as the ML node spells it. */
export const finishName = (reason: sign.FinishReason): string => FINISH_NAMES[reason] ?? "unspecified";
