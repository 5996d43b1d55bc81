import { type inference, refOf, sign } from "@karat/proto";
import { ChainError } from "../../../app/errors.ts";
import type { Context } from "../../../app/module.ts";
import type { BatchReads } from "../batchReads.ts";
import { ERRORS } from "../errors.ts";
import { read, readRef } from "../keeper.ts";
import { continueAt, heldBy, MAX_PARTS } from "../parts.ts";
import type { Opened } from "../signed.ts";
import type { Change } from "../transition.ts";

/** What a part goes on behind. */
export interface Seam {
  readonly part: inference.Part;
  /** What becomes of the part before it. */
  readonly cut: Change;
  /** ukarat that the parts before it have cost or hold, the last one's as far as the seam. */
  readonly held: bigint;
}

/**
 * The seam at which a part `id` is to go on with its order. Throws `invalidPrefix`, `unknownInference` where the order has no start (yet), and
 * `notContinuable`.
 */
export function openSeam(
  reads: BatchReads,
  ctx: Context,
  { id: orderId, authorization }: Opened,
  id: Uint8Array,
  executor: string,
  { tokens, hash }: inference.Prefix,
): Seam {
  if (hash.length !== 32 || tokens >= authorization.maxOutputTokens) {
    throw new ChainError(ERRORS.invalidPrefix, `${tokens} of ${authorization.maxOutputTokens} output tokens`);
  }
  const parts = partsOf(ctx, orderId);
  const [order, last] = [parts[0], parts.at(-1)];
  if (order === undefined || last === undefined) {
    throw new ChainError(ERRORS.unknownInference, "the order has no start, or is forgotten");
  }
  const { inferenceDeadline, retentionBlocks } = reads.params;
  // Longer than that a record of the same id may have been forgotten.
  const open = inferenceDeadline < retentionBlocks ? inferenceDeadline : retentionBlocks;
  const problem =
    ctx.height > order.startHeight + open
      ? `the order began ${ctx.height - order.startHeight} blocks ago`
      : parts.length >= MAX_PARTS
        ? `it has ${MAX_PARTS} parts`
        : parts.some((other) => other.executor === executor)
          ? "its executor has a part of it already"
          : tokens < (last.part?.prefixTokens ?? 0)
            ? `it was continued behind ${last.part?.prefixTokens} tokens`
            : isOver(last)
              ? "the answer is whole, or paid"
              : undefined;
  if (problem !== undefined) throw new ChainError(ERRORS.notContinuable, problem);
  const cut = continueAt(last, refOf(id), tokens);
  const held = [...parts.slice(0, -1), cut.inference].reduce((sum, part) => sum + heldBy(part), 0n);
  return { part: { orderId, prefixTokens: tokens, prefixHash: hash }, cut, held };
}

/** An order and what goes on behind it, in order: all of them are remembered for as long as another may follow. */
function partsOf(ctx: Context, orderId: Uint8Array): inference.Inference[] {
  const parts: inference.Inference[] = [];
  let next = read(ctx, orderId);
  while (next !== undefined && parts.length < MAX_PARTS) {
    parts.push(next);
    next = next.continued && readRef(ctx, next.continued.by);
  }
  return parts;
}

/** A finish that is on chain before the next part's start stands as it is, unless it says itself that the reader had left. */
const isOver = ({ finishHeight, finishReason, settleHeight }: inference.Inference): boolean =>
  settleHeight > 0n || (finishHeight > 0n && finishReason !== sign.FinishReason.CANCELLED);
