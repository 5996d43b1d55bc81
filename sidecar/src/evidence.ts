import { type ChainClient, openAuthorization } from "@karat/client";
import { toHex } from "@karat/common";
import { type inference, sign, typeUrls } from "@karat/proto";

/** What a validator needs of one inference to check it. */
export interface Evidence {
  readonly record: inference.Inference;
  /** Canonical JSON of the request. */
  readonly request: string;
  readonly finish: inference.FinishRecord;
}

/** Fetches the parts of a payload that ride not in the transactions; undefined when nobody has them. */
export type PayloadSource = (
  record: inference.Inference,
) => Promise<{ request: string; finish: Partial<inference.FinishRecord> } | undefined>;

/**
 * Gathers an inference's request, output and artifact: from its start and finish transactions in recording mode full,
 * from the payload stores in mode commit. Undefined when a part cannot be had: the verdict is `unavailable`.
 */
export async function gatherEvidence(
  chain: ChainClient,
  id: Uint8Array,
  payloads: PayloadSource,
): Promise<Evidence | undefined> {
  const record = await chain.query.inference(id);
  if (!record) return undefined;
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
  if (start.request.length > 0) return { record, request: new TextDecoder().decode(start.request), finish };
  const fetched = await payloads(record);
  return fetched && { record, request: fetched.request, finish: { ...finish, ...fetched.finish } };
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
