import { sha256 } from "@karat/common";
import { inference, type participant, sign } from "@karat/proto";
import { cost } from "@karat/rules";
import { ChainError } from "../../../app/errors.ts";
import type { Context } from "../../../app/module.ts";
import { defineBatch } from "../batch.ts";
import { ERRORS } from "../errors.ts";
import { emitFinish } from "../events.ts";
import type { InferenceDeps } from "../expects.ts";
import { convictOfContradiction, miss, putFinished, require } from "../keeper.ts";
import { STORE, statements } from "../keys.ts";
import { finish, follow, sameBytes } from "../transition.ts";

const { FinishReason, RecordingMode } = sign;
const Status = inference.InferenceStatus;
const MAX_ERROR_CHARS = 256;

/** What the executor produced: hashes, counts, the reason it ended. From its node key. */
export const finishInferences = (deps: InferenceDeps) =>
  defineBatch({
    codec: inference.MsgFinishInferences,
    response: {
      typeUrl: "/karat.inference.v1.MsgFinishInferencesResponse",
      codec: inference.MsgFinishInferencesResponse,
    },
    errors: ERRORS,
    senderOf: (ctx, address) => deps.participants.byNodeAddress(ctx, address),
    recordsOf: (message) => message.records,
    idOf: (record) => record.inferenceId,
    run: (_ctx, sender) => (inner, record) => finishOne(deps, inner, sender, record),
  });

function finishOne(
  deps: InferenceDeps,
  ctx: Context,
  sender: participant.Participant,
  record: inference.FinishRecord,
): string {
  const before = require(ctx, record.inferenceId);
  if (before.executor !== sender.operator) throw new ChainError(ERRORS.wrongSender, "not its executor");
  if (isRepeated(before, record)) return "already recorded";
  if (before.finishHeight > 0n) throw new ChainError(ERRORS.alreadyFinished, "finished with another content");
  follow(before.status, record.error === "" ? "finish" : "miss");
  if (ctx.height > before.deadlineHeight) {
    throw new ChainError(ERRORS.deadlinePassed, `deadline ${before.deadlineHeight}, height ${ctx.height}`);
  }
  if (record.error !== "") {
    if (record.error.length > MAX_ERROR_CHARS) throw new ChainError(ERRORS.invalidFinish, "the error is too long");
    miss(deps, ctx, before, "error");
    return "";
  }
  checkContent(before, record);
  checkPayload(deps, ctx, before, record);

  const usage = { promptTokens: BigInt(record.promptTokens), completionTokens: BigInt(record.completionTokens) };
  const price = { input: before.inputPrice, output: before.outputPrice };
  const { inference: finished, unlock } = finish(before, record, cost(usage, price), ctx.height);
  deps.deposits.unlock(ctx, finished.client, unlock);
  putFinished(ctx, finished);
  emitFinish(ctx, finished);

  const statement = statements.get(ctx.store(STORE), finished.id);
  if (statement === undefined) return "";
  statements.delete(ctx.store(STORE), finished.id);
  if (
    sameBytes(statement.subarray(0, 32), record.outputHash) &&
    sameBytes(statement.subarray(32), record.artifactRoot)
  ) {
    return "";
  }
  convictOfContradiction(deps, ctx, finished);
  return "contradicts the response that the executor signed";
}

/** The same record once more, or an error reported once more. */
function isRepeated(before: inference.Inference, record: inference.FinishRecord): boolean {
  if (record.error !== "") return before.status === Status.MISSED;
  return (
    before.finishHeight > 0n &&
    sameBytes(before.outputHash, record.outputHash) &&
    sameBytes(before.artifactRoot, record.artifactRoot) &&
    sameBytes(before.promptHash, record.promptHash) &&
    before.promptTokens === record.promptTokens &&
    before.completionTokens === record.completionTokens &&
    before.finishReason === record.finishReason
  );
}

function checkContent(before: inference.Inference, record: inference.FinishRecord): void {
  const { finishReason: reason, completionTokens } = record;
  const problem =
    record.outputHash.length !== 32 || record.artifactRoot.length !== 32 || record.promptHash.length !== 32
      ? "output_hash, artifact_root and prompt_hash are 32 bytes"
      : record.promptTokens > before.receiptPromptTokens
        ? `the receipt says ${before.receiptPromptTokens} prompt tokens`
        : completionTokens > before.maxOutputTokens
          ? `${before.maxOutputTokens} output tokens were authorized`
          : !isReasonable(reason, completionTokens, before.maxOutputTokens)
            ? `finish reason ${reason} with ${completionTokens} tokens`
            : undefined;
  if (problem !== undefined) throw new ChainError(ERRORS.invalidFinish, problem);
}

/** `length` means exactly what was authorized; only a client that goes away may get nothing at all. */
function isReasonable(reason: sign.FinishReason, completionTokens: number, maxOutputTokens: number): boolean {
  switch (reason) {
    case FinishReason.LENGTH:
      return completionTokens === maxOutputTokens;
    case FinishReason.STOP:
    case FinishReason.STOP_SEQUENCE:
      return completionTokens > 0;
    case FinishReason.CANCELLED:
      return true;
    default:
      return false;
  }
}

/**
 * In recording mode full the output rides along unless it is too long, which only its executor can tell: then its bytes
 * are in the payload stores, as in mode commit. What does ride must be what the hash says.
 */
function checkPayload(
  deps: InferenceDeps,
  ctx: Context,
  before: inference.Inference,
  { output, tokenIds, artifact, outputHash, completionTokens }: inference.FinishRecord,
): void {
  if (output.length + tokenIds.length + artifact.length === 0) return;
  const bytes = output.length + 4 * tokenIds.length + artifact.length;
  const valid =
    before.recording === RecordingMode.FULL &&
    bytes <= deps.params.get(ctx).maxInlineBytes &&
    tokenIds.length === completionTokens &&
    sameBytes(sha256(output), outputHash);
  if (!valid) throw new ChainError(ERRORS.invalidPayload, "the output's bytes are not what the recording mode wants");
}
