import { sha256 } from "@karat/common";
import { encodeSigned, inference, type participant, sign } from "@karat/proto";
import { executorOrder, maxCost } from "@karat/rules";
import { ChainError } from "../../../app/errors.ts";
import type { Context } from "../../../app/module.ts";
import { U64_MAX } from "../../../numeric/checked.ts";
import { defineBatch, isRefusal } from "../batch.ts";
import { type BatchReads, batchReads } from "../batchReads.ts";
import { ERRORS } from "../errors.ts";
import { emitStart } from "../events.ts";
import type { Candidate, InferenceDeps } from "../expects.ts";
import { create, read } from "../keeper.ts";
import { startSignatures } from "../signaturesAhead.ts";
import { authorizedKey, decodeAuthorization, decodeReceipt, isSignedBy } from "../signed.ts";
import { sameBytes, start } from "../transition.ts";

const MAX_REASON_CHARS = 64;

/** Locks the most a request can cost, for the executor that the draw names. From its transfer agent or its executor. */
export const startInferences = (deps: InferenceDeps) =>
  defineBatch({
    codec: inference.MsgStartInferences,
    response: {
      typeUrl: "/karat.inference.v1.MsgStartInferencesResponse",
      codec: inference.MsgStartInferencesResponse,
    },
    errors: ERRORS,
    senderOf: (ctx, address) => deps.participants.byNodeAddress(ctx, address),
    recordsOf: (message) => message.records,
    idOf: (record) => sha256(record.authorization),
    signatures: (ctx, record) => startSignatures(deps, ctx, record),
    run: (ctx, sender) => {
      const reads = batchReads(deps, ctx);
      return (inner, record) => startOne(deps, reads, inner, sender, record);
    },
  });

function startOne(
  deps: InferenceDeps,
  reads: BatchReads,
  ctx: Context,
  sender: participant.Participant,
  record: inference.StartRecord,
): string {
  const id = sha256(record.authorization);
  const authorization = decodeAuthorization(ctx, record.authorization);
  const receipt = decodeReceipt(ctx, record.receipt);
  const known = read(ctx, id);
  if (known !== undefined) {
    if (!isSameStart(known, receipt)) throw new ChainError(ERRORS.alreadyStarted, "started with another receipt");
    return "already recorded";
  }
  const beacon = checkAnchor(reads, ctx, authorization);
  checkParties(reads, sender, authorization, receipt);
  checkReceipt(reads, ctx, id, authorization, receipt);
  const { drawn, skipped } = checkDraw(reads, id, beacon, authorization, receipt);
  checkPayload(reads, authorization, record.request);
  checkSignatures(reads, ctx, id, authorization, record, drawn, skipped);

  const price = { input: drawn.offer.inputPrice, output: drawn.offer.outputPrice };
  const locked = maxCost(
    { promptTokens: BigInt(receipt.promptTokens), maxOutputTokens: BigInt(authorization.maxOutputTokens) },
    price,
  );
  if (locked > U64_MAX) throw new ChainError(ERRORS.amountTooLarge, `${locked}ukarat`);
  lock(deps, ctx, authorization.client, locked);
  const epoch = reads.epoch;
  const started = start({ id, authorization, receipt, price, locked, height: ctx.height, epoch });
  create(ctx, started);
  deps.reputation.assignment(ctx, started.executor);
  deps.rewards.assigned(ctx, started.executor, epoch);
  emitStart(ctx, started);
  return "";
}

/** The id binds the authorization; what may differ is the receipt. */
function isSameStart(known: inference.Inference, receipt: sign.Receipt): boolean {
  return (
    known.executor === receipt.executor &&
    known.attempt === receipt.attempt &&
    known.deadlineHeight === receipt.deadlineHeight &&
    known.receiptPromptTokens === receipt.promptTokens
  );
}

function checkAnchor(reads: BatchReads, ctx: Context, { anchorHeight }: sign.RequestAuthorization): Uint8Array {
  const age = ctx.height - anchorHeight;
  const beacon = age > 0n && age <= reads.params.maxAnchorAge && reads.beacon(anchorHeight);
  if (!beacon) throw new ChainError(ERRORS.anchorOutOfRange, `anchor ${anchorHeight} at height ${ctx.height}`);
  return beacon;
}

function checkParties(
  reads: BatchReads,
  sender: participant.Participant,
  authorization: sign.RequestAuthorization,
  receipt: sign.Receipt,
): void {
  if (sender.operator !== authorization.transferAgent && sender.operator !== receipt.executor) {
    throw new ChainError(ERRORS.wrongSender, "only the transfer agent or the executor records a start");
  }
  if (!authorizedKey(authorization.client, authorization.key)) {
    throw new ChainError(ERRORS.unauthorizedKey, `not a key of ${authorization.client}`);
  }
  if (!reads.isParticipant(authorization.transferAgent)) {
    throw new ChainError(ERRORS.unknownTransferAgent, authorization.transferAgent);
  }
  if (!reads.hasModel(authorization.model)) {
    throw new ChainError(ERRORS.unknownModel, authorization.model);
  }
}

function checkReceipt(
  reads: BatchReads,
  ctx: Context,
  id: Uint8Array,
  authorization: sign.RequestAuthorization,
  receipt: sign.Receipt,
): void {
  if (!sameBytes(receipt.inferenceId, id) || receipt.promptTokens > authorization.maxInputTokens) {
    throw new ChainError(ERRORS.receiptMismatch, "not a receipt for this authorization");
  }
  // A start that comes after its deadline would be a miss that the executor could not avoid.
  const latest = ctx.height + reads.params.inferenceDeadline;
  if (receipt.deadlineHeight < ctx.height || receipt.deadlineHeight > latest) {
    throw new ChainError(ERRORS.deadlineOutOfRange, `deadline ${receipt.deadlineHeight}, latest ${latest}`);
  }
}

/** The executor must stand at its attempt's place in the order that the anchor's beacon gives. */
function checkDraw(
  reads: BatchReads,
  id: Uint8Array,
  beacon: Uint8Array,
  { model, anchorHeight, maxInputPrice, maxOutputPrice }: sign.RequestAuthorization,
  receipt: sign.Receipt,
): { drawn: Candidate; skipped: readonly Candidate[] } {
  const candidates = reads.candidates({ model, anchorHeight, maxInputPrice, maxOutputPrice });
  const order = receipt.attempt < candidates.length ? executorOrder(beacon, id, candidates, receipt.attempt + 1) : [];
  if (order[receipt.attempt] !== receipt.executor) {
    throw new ChainError(
      ERRORS.executorNotDrawn,
      `attempt ${receipt.attempt} is ${order[receipt.attempt] ?? "nobody"}`,
    );
  }
  const byId = new Map(candidates.map((candidate) => [candidate.id, candidate]));
  const places = order.map((operator) => byId.get(operator)!);
  return { drawn: places[receipt.attempt]!, skipped: places.slice(0, receipt.attempt) };
}

/** Recording mode full carries the request; above the limit and in mode commit the hash alone is recorded. */
function checkPayload(
  reads: BatchReads,
  { recording, requestHash }: sign.RequestAuthorization,
  request: Uint8Array,
): void {
  const valid =
    recording === sign.RecordingMode.FULL
      ? request.length <= reads.params.maxInlineBytes && sameBytes(sha256(request), requestHash)
      : request.length === 0;
  if (!valid) throw new ChainError(ERRORS.invalidPayload, "the request's bytes are not what the recording mode wants");
}

function checkSignatures(
  reads: BatchReads,
  ctx: Context,
  id: Uint8Array,
  authorization: sign.RequestAuthorization,
  record: inference.StartRecord,
  drawn: Candidate,
  skipped: readonly Candidate[],
): void {
  if (!isSignedBy(ctx, record.authorization, record.signature, authorization.key)) {
    throw new ChainError(ERRORS.invalidSignature, "not the client's signature");
  }
  if (!isSignedBy(ctx, record.receipt, record.receiptSignature, reads.nodeKey(drawn.id))) {
    throw new ChainError(ERRORS.invalidReceiptSignature, "not the executor's signature");
  }
  if (record.skips.length !== skipped.length) {
    throw new ChainError(
      ERRORS.invalidSkips,
      `${skipped.length} places were passed over, ${record.skips.length} named`,
    );
  }
  for (const [attempt, { id: executor }] of skipped.entries()) {
    const skip = record.skips[attempt]!;
    const busy = { chainId: ctx.chainId, inferenceId: id, attempt, executor };
    const valid =
      skip.attempt === attempt &&
      skip.reason.length <= MAX_REASON_CHARS &&
      (skip.busySignature.length === 0 ||
        isSignedBy(ctx, encodeSigned("busy", busy), skip.busySignature, reads.nodeKey(executor)));
    if (!valid) throw new ChainError(ERRORS.invalidSkips, `attempt ${attempt}`);
  }
}

function lock(deps: InferenceDeps, ctx: Context, client: string, amount: bigint): void {
  try {
    deps.deposits.lock(ctx, client, amount);
  } catch (error) {
    if (!isRefusal(error)) throw error;
    throw new ChainError(ERRORS.insufficientDeposit, error.message);
  }
}
