import { signMessage } from "@karat/client";
import { fromBase64, fromHex, sha256, utf8 } from "@karat/common";
import { inference, sign } from "@karat/proto";

import type { Payload } from "../payloads/payload.ts";
import type { CheckedRequest } from "./checks.ts";
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

const FINISH_REASONS: Readonly<Record<MlFinishReason, sign.FinishReason>> = {
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

/** The finish record of an answer, whole: output, token ids and artifact included. */
export function finishRecord(inferenceId: Uint8Array, answer: RecordedAnswer): inference.FinishRecord {
  const output = utf8(answer.text);
  return {
    inferenceId,
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
export const failedFinish = (inferenceId: Uint8Array, code: string): inference.FinishRecord =>
  inference.FinishRecord.fromPartial({ inferenceId, error: code });

/**
 * As it goes on chain: with its output in recording mode full, else by hashes only. Never with the artifact: a validator that could read
 * it there would not have to compute.
 */
export function encodeForChain(record: inference.FinishRecord, recording: sign.RecordingMode): Uint8Array {
  const sealed = { ...record, artifact: new Uint8Array() };
  const inline = recording === sign.RecordingMode.FULL;
  const bare = inline ? sealed : { ...sealed, output: new Uint8Array(), tokenIds: [] };
  return inference.FinishRecord.encode(bare).finish();
}

/** What validators may ask for: the request by its hash, and the whole finish record by its artifact root. */
export function finishPayloads(request: string, checked: CheckedRequest, record: inference.FinishRecord): Payload[] {
  return [
    { hash: checked.authorization.requestHash, bytes: utf8(request) },
    { hash: record.artifactRoot, bytes: inference.FinishRecord.encode(record).finish() },
  ];
}

/** The executor's signed statement of what it sent. */
export function responseReceipt(chainId: string, executor: string, record: inference.FinishRecord, key: Uint8Array) {
  const { inferenceId, outputHash, artifactRoot, promptTokens, completionTokens, finishReason } = record;
  return signMessage(
    "response",
    { chainId, inferenceId, executor, outputHash, artifactRoot, promptTokens, completionTokens, finishReason },
    key,
  );
}
