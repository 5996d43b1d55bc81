import { fromBase64, fromHex, sha256, utf8 } from "@karat/common";
import { inference, sign, statementOf } from "@karat/proto";

import type { Payload } from "../payloads/payload.ts";
import type { MlEnd } from "./mlNode.ts";
import type { MlFinishReason } from "./protocol.ts";

/** An answer as it is recorded: complete, or what there was when the client left. */
export interface RecordedAnswer {
  readonly finishReason: MlFinishReason;
  readonly promptTokens: number;
  readonly promptHash: Uint8Array;
  readonly tokenIds: readonly number[];
  readonly text: string;
  readonly artifact: Uint8Array;
  readonly artifactRoot: Uint8Array;
}

export const FINISH_REASONS: Readonly<Record<MlFinishReason, sign.FinishReason>> = {
  stop: sign.FinishReason.STOP,
  length: sign.FinishReason.LENGTH,
  stop_sequence: sign.FinishReason.STOP_SEQUENCE,
  cancelled: sign.FinishReason.CANCELLED,
};

export function recordedAnswer(end: MlEnd, promptHash: string): RecordedAnswer {
  return {
    finishReason: end.finish_reason,
    promptTokens: end.usage.prompt_tokens,
    promptHash: fromHex(promptHash),
    tokenIds: end.token_ids,
    text: end.text,
    artifact: fromBase64(end.artifact),
    artifactRoot: fromHex(end.artifact_root),
  };
}

/** Whose answer it is, and what its receipt promised. */
export interface AnswerOrigin {
  readonly inferenceId: Uint8Array;
  /** Operator address. */
  readonly executor: string;
  readonly receiptPromptTokens: number;
  /** Ids of the output tokens of others before it; none where it begins. */
  readonly prefixTokenIds: readonly number[];
}

/** The finish record of an answer, whole: output, token ids and artifact included. */
export function finishRecord(origin: AnswerOrigin, answer: RecordedAnswer): inference.FinishRecord {
  const output = utf8(answer.text);
  return {
    ...origin,
    prefixTokenIds: [...origin.prefixTokenIds],
    outputHash: sha256(output),
    artifactRoot: answer.artifactRoot,
    promptHash: answer.promptHash,
    promptTokens: answer.promptTokens,
    completionTokens: answer.tokenIds.length,
    finishReason: FINISH_REASONS[answer.finishReason],
    output,
    tokenIds: [...answer.tokenIds],
    artifact: answer.artifact,
    error: "",
  };
}

/** The record of an answer that could not be given after the receipt: a miss without the wait. */
export const failedFinish = (origin: AnswerOrigin, code: string): inference.FinishRecord =>
  inference.FinishRecord.fromPartial({ ...origin, prefixTokenIds: [], error: code });

/**
 * As it goes on chain: with its output in recording mode full, unless that is too long; else by its root only. Never with the artifact: a
 * validator that could read it there would not have to compute.
 */
export function encodeForChain(
  record: inference.FinishRecord,
  recording: sign.RecordingMode,
  maxInlineBytes: number,
): Uint8Array {
  const sealed = { ...record, artifact: new Uint8Array() };
  const bytes = record.output.length + 4 * (record.tokenIds.length + record.prefixTokenIds.length);
  const inline = recording === sign.RecordingMode.FULL && bytes <= maxInlineBytes;
  const bare = inline ? sealed : { ...sealed, output: new Uint8Array(), tokenIds: [], prefixTokenIds: [] };
  return inference.FinishRecord.encode(bare).finish();
}

/** What validators may ask for: the request by its hash, and the whole finish record by the root of its statement. */
export function finishPayloads(
  request: { readonly hash: Uint8Array; readonly canonical: string },
  root: Uint8Array,
  record: inference.FinishRecord,
): Payload[] {
  return [
    { hash: request.hash, bytes: utf8(request.canonical) },
    { hash: root, bytes: inference.FinishRecord.encode(record).finish() },
  ];
}

/** What the executor states of its answer, and the root by which the chain knows it: what is signed. */
export interface Statement {
  /** Encoded sign.v1.ResponseReceipt. */
  readonly bytes: Uint8Array;
  readonly root: Uint8Array;
}

export function statementWithRoot(chainId: string, record: inference.FinishRecord): Statement {
  const bytes = statementOf(chainId, record);
  return { bytes, root: sha256(bytes) };
}
