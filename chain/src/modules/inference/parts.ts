/**
 * The money of an answer in parts (docs/adr/0011): pure functions. Every place of the output is paid once, to the part that holds
 * it when another goes on; prompt and prefix are paid to each part as far as the most that the client signed for leaves room.
 * Places count from the beginning of the whole output.
 */
import type { inference } from "@karat/proto";
import type { Change } from "./transition.ts";

type Inference = inference.Inference;

/** Most parts of one answer, the first included. */
export const MAX_PARTS = 4;

interface Usage {
  readonly promptTokens: number;
  readonly completionTokens: number;
}

/** Output tokens that can be paid: up to the maximum, or to where another goes on. */
const mostOutput = ({ maxOutputTokens, part, continued }: Inference): number =>
  (continued?.at ?? maxOutputTokens) - (part?.prefixTokens ?? 0);

const outputCost = (record: Inference, tokens: number): bigint =>
  BigInt(Math.min(tokens, mostOutput(record))) * record.outputPrice;

/** Output tokens behind the prefix that are charged, or may still be. */
const writtenBy = ({ finishHeight, completionTokens, maxOutputTokens }: Inference): number =>
  finishHeight > 0n ? completionTokens : maxOutputTokens;

/** ukarat held for prompt and prefix. */
const inputHeld = (record: Inference): bigint => record.locked - outputCost(record, writtenBy(record));

/** What a finish costs, of a record that is STARTED; never more than it holds. */
export function chargeOf(started: Inference, { promptTokens, completionTokens }: Usage): bigint {
  const input = BigInt(promptTokens) * started.inputPrice;
  return least(input, inputHeld(started)) + outputCost(started, completionTokens);
}

/** ukarat that a record has cost the client or may still cost it. */
export const heldBy = ({ locked, cost, settleHeight }: Inference): bigint => (settleHeight > 0n ? cost : locked);

/** Another goes on at a place: what this one has or may have behind it goes back. */
export function continueAt(before: Inference, by: bigint, at: number): Change {
  const after = { ...before, continued: { by, at } };
  if (before.locked === 0n) return { inference: after, unlock: 0n };
  const written = writtenBy(before);
  const unlock = outputCost(before, written) - outputCost(after, written);
  const locked = before.locked - unlock;
  return { inference: { ...after, locked, cost: before.finishHeight > 0n ? locked : before.cost }, unlock };
}

/** Who goes on behind a part that was missed has what that one held, as far as its own prompt is unpaid. */
export function inherit(heir: Inference, freed: bigint): { readonly inference: Inference; readonly taken: bigint } {
  const finished = heir.finishHeight > 0n;
  const input = BigInt(finished ? heir.promptTokens : heir.receiptPromptTokens) * heir.inputPrice;
  const taken = least(input - inputHeld(heir), freed);
  const locked = heir.locked + taken;
  return { inference: { ...heir, locked, cost: finished ? locked : heir.cost }, taken };
}

const least = (a: bigint, b: bigint): bigint => (a < b ? a : b);
