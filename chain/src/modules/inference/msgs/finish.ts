import { sha256 } from "@karat/common";
import { inference, type participant, sign, statementOf } from "@karat/proto";
import { tokensHash } from "@karat/rules";
import { ChainError } from "../../../app/errors.ts";
import type { Context } from "../../../app/module.ts";
import { ERRORS } from "../errors.ts";
import { emitFinish } from "../events.ts";
import type { RecordDeps } from "../expects.ts";
import { convictOfContradiction, miss, putFinished, require } from "../keeper.ts";
import { STORE, statements } from "../keys.ts";
import { contradicts, type Finished, finish, follow, sameBytes } from "../transition.ts";

const { FinishReason, RecordingMode } = sign;
const Status = inference.InferenceStatus;
const MAX_ERROR_CHARS = 256;

/** What the executor produced: the root of its statement, counts, the reason it ended. From its node key. */
export function finishOne(
  deps: RecordDeps,
  ctx: Context,
  sender: participant.Participant,
  entry: inference.FinishEntry,
): void {
  const before = require(ctx, entry.ref);
  if (before.executor !== sender.operator) throw new ChainError(ERRORS.wrongSender, "not its executor");
  if (entry.error !== "") {
    failOne(deps, ctx, before, entry.error);
    return;
  }
  const stated = open(deps, ctx, before, entry);
  if (isRepeated(before, stated)) return;
  if (before.finishHeight > 0n) throw new ChainError(ERRORS.alreadyFinished, "finished with another content");
  checkOpen(ctx, before, "finish");
  checkCounts(before, stated);

  const { inference: finished, unlock } = finish(before, stated, ctx.height);
  deps.deposits.unlock(ctx, finished.client, unlock);
  putFinished(ctx, finished);
  emitFinish(ctx, finished);
  // Only a delivery that was recorded before the finish can have left a statement.
  if (before.deliveryHeight > 0n) compareWithDelivered(deps, ctx, entry.ref, finished);
}

/** An error is a miss without the wait. */
function failOne(deps: RecordDeps, ctx: Context, before: inference.Inference, error: string): void {
  if (before.status === Status.MISSED) return;
  if (before.finishHeight > 0n) throw new ChainError(ERRORS.alreadyFinished, "finished with another content");
  checkOpen(ctx, before, "miss");
  if (error.length > MAX_ERROR_CHARS) throw new ChainError(ERRORS.invalidFinish, "the error is too long");
  miss(deps, ctx, before, "error");
}

function checkOpen(ctx: Context, before: inference.Inference, step: "finish" | "miss"): void {
  follow(before.status, step);
  if (ctx.height > before.deadlineHeight) {
    throw new ChainError(ERRORS.deadlinePassed, `deadline ${before.deadlineHeight}, height ${ctx.height}`);
  }
}

function compareWithDelivered(deps: RecordDeps, ctx: Context, ref: bigint, finished: inference.Inference): void {
  const store = ctx.store(STORE);
  const statement = statements.get(store, ref);
  if (statement === undefined) return;
  statements.delete(store, ref);
  // Its executor has signed two answers.
  if (contradicts(finished, statement, finished.deliveredRoot)) convictOfContradiction(deps, ctx, finished);
}

/**
 * The statement in full, or the parts of it that ride. In recording mode full the output rides along unless it is too long,
 * which only its executor can tell: then its bytes are in the payload stores, as in mode commit.
 */
function open(deps: RecordDeps, ctx: Context, before: inference.Inference, entry: inference.FinishEntry): Finished {
  const { completionTokens, finishReason: given, opening, root } = entry;
  const finishReason = given === FinishReason.UNSPECIFIED ? FinishReason.STOP : given;
  const promptTokens = before.receiptPromptTokens - entry.unusedPromptTokens;
  if (promptTokens < 0) {
    throw new ChainError(ERRORS.invalidFinish, `the receipt says ${before.receiptPromptTokens} prompt tokens`);
  }
  const counts = { promptTokens, completionTokens, finishReason };
  if (opening === undefined) {
    if (root.length !== 32) throw new ChainError(ERRORS.invalidFinish, "root is 32 bytes");
    return { root, ...counts };
  }
  const { artifactRoot, promptHash, output, tokenIds, artifact, prefixTokenIds } = opening;
  if (root.length > 0 || artifactRoot.length !== 32 || promptHash.length !== 32) {
    throw new ChainError(ERRORS.invalidFinish, "an opening has artifact_root and prompt_hash of 32 bytes and no root");
  }
  const bytes = output.length + 4 * (tokenIds.length + prefixTokenIds.length) + artifact.length;
  const valid =
    before.recording === RecordingMode.FULL &&
    bytes <= deps.params.get(ctx).maxInlineBytes &&
    tokenIds.length === completionTokens &&
    isPrefixOf(before, prefixTokenIds);
  if (!valid) throw new ChainError(ERRORS.invalidPayload, "the output's bytes are not what the recording mode wants");
  const hashes = { outputHash: sha256(output), artifactRoot, promptHash };
  const statement = statementOf(ctx.chainId, {
    inferenceId: before.id,
    executor: before.executor,
    ...hashes,
    ...counts,
  });
  return { root: sha256(statement), ...counts };
}

const isPrefixOf = ({ part }: inference.Inference, ids: readonly number[]): boolean =>
  part === undefined ? ids.length === 0 : sameBytes(tokensHash(ids), part.prefixHash);

const isRepeated = (before: inference.Inference, stated: Finished): boolean =>
  before.finishHeight > 0n &&
  sameBytes(before.root, stated.root) &&
  before.promptTokens === stated.promptTokens &&
  before.completionTokens === stated.completionTokens &&
  before.finishReason === stated.finishReason;

function checkCounts(before: inference.Inference, { completionTokens, finishReason }: Finished): void {
  const most = before.maxOutputTokens - (before.part?.prefixTokens ?? 0);
  const problem =
    completionTokens > most
      ? `${most} output tokens were authorized`
      : !isReasonable(finishReason, completionTokens, most)
        ? `finish reason ${finishReason} with ${completionTokens} tokens`
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
