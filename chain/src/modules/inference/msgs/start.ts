import { sha256 } from "@karat/common";
import { encodeSigned, type inference, type participant, partNameOf, refOf } from "@karat/proto";
import { maxPartCost } from "@karat/rules";
import { ChainError } from "../../../app/errors.ts";
import type { Context } from "../../../app/module.ts";
import { U64_MAX } from "../../../numeric/checked.ts";
import { isRefusal } from "../batch.ts";
import type { BatchReads } from "../batchReads.ts";
import { ERRORS } from "../errors.ts";
import { emitStart } from "../events.ts";
import type { Candidate, RecordDeps } from "../expects.ts";
import { create, readRef, write } from "../keeper.ts";
import { isDigestSignedBy, isSignedBy, type Opened, openStart } from "../signed.ts";
import type { StartTotals } from "../startTotals.ts";
import { sameBytes, start } from "../transition.ts";
import { openSeam } from "./seam.ts";

const MAX_REASON_CHARS = 64;
/** Executors choose their deadlines: what is due at one height is one entry of the store, and must stay of a size that a block can write. */
export const MAX_PER_DEADLINE = 100_000n;

/** The parts of a receipt that a record states. */
interface Promised {
  readonly executor: string;
  readonly attempt: number;
  readonly promptTokens: number;
  readonly deadlineHeight: bigint;
}

/**
 * Locks the most a request can cost, for the executor that the draw names; of a part that goes on behind another, the rest. From that executor,
 * whose transaction stands for its signature under the receipt, or from whoever has the signed receipt: the transfer agent, or an executor that goes on
 * behind the one that gave it.
 */
export function startOne(
  deps: RecordDeps,
  reads: BatchReads,
  totals: StartTotals,
  ctx: Context,
  sender: participant.Participant,
  message: Pick<inference.MsgRecords, "baseHeight" | "terms">,
  entry: inference.StartEntry,
): void {
  const opened = openStart(ctx, reads, sender.operator, message, entry);
  const { authorization } = opened;
  const { prefix } = entry;
  const id = prefix ? sha256(partNameOf(ctx.chainId, opened.id, entry.attempt, prefix)) : opened.id;
  const executor = entry.executor === 0 ? sender.operator : (reads.operator(entry.executor) ?? "");
  const { attempt, promptTokens } = entry;
  const deadlineHeight = message.baseHeight + BigInt(entry.deadlineAfter);
  const promised: Promised = { executor, attempt, promptTokens, deadlineHeight };
  const known = readRef(ctx, refOf(id));
  if (known !== undefined) {
    if (!sameBytes(known.id, id)) throw new ChainError(ERRORS.refTaken, "draw the nonce anew");
    if (!isSameStart(known, promised)) throw new ChainError(ERRORS.alreadyStarted, "started with another receipt");
    return;
  }
  const beacon = checkAnchor(reads, ctx, authorization.anchorHeight, prefix === undefined);
  // The start of an order may come from whoever goes on behind it; what goes on is its own executor's, and the transfer agent's.
  if (prefix && sender.operator !== authorization.transferAgent && sender.operator !== executor) {
    throw new ChainError(ERRORS.wrongSender, "only the transfer agent or the executor records the start of a part");
  }
  const seam = prefix && openSeam(reads, ctx, opened, id, executor, prefix);
  const prefixTokens = prefix?.tokens ?? 0;
  checkReceipt(reads, totals, ctx, authorization.maxInputTokens + prefixTokens, promised);
  const { drawn, skipped } = checkDraw(reads, opened, beacon, promised);
  if (entry.request.length > reads.params.maxInlineBytes) {
    throw new ChainError(ERRORS.invalidPayload, `a request of ${entry.request.length} bytes does not ride along`);
  }
  checkSignatures(reads, ctx, sender.operator, id, opened, promised, entry, skipped);

  const price = { input: drawn.offer.inputPrice, output: drawn.offer.outputPrice };
  const locked = maxPartCost(authorization, promptTokens, price, { prefixTokens, held: seam?.held ?? 0n });
  if (locked > U64_MAX) throw new ChainError(ERRORS.amountTooLarge, `${locked}ukarat`);
  hold(deps, ctx, authorization.client, locked, seam?.cut.unlock ?? 0n);
  const { epoch } = reads;
  const { sampling } = opened;
  const { height } = ctx;
  const part = seam?.part;
  const started = start({ id, authorization, receipt: promised, sampling, price, locked, height, epoch, part });
  create(ctx, started);
  if (seam) write(ctx, seam.cut.inference);
  if (opened.newKey) learnKey(deps, ctx, entry.client, authorization.key);
  totals.add(ctx, executor, deadlineHeight);
  emitStart(ctx, started);
}

/** From now on the key need not ride along. */
function learnKey(deps: RecordDeps, ctx: Context, number: bigint, publicKey: Uint8Array): void {
  const account = deps.accounts.byNumber(ctx, number);
  if (account !== undefined && account.publicKey === undefined) deps.accounts.set(ctx, { ...account, publicKey });
}

/** The id binds the authorization; what may differ is the receipt. */
function isSameStart(known: inference.Inference, promised: Promised): boolean {
  return (
    known.executor === promised.executor &&
    known.attempt === promised.attempt &&
    known.deadlineHeight === promised.deadlineHeight &&
    known.receiptPromptTokens === promised.promptTokens
  );
}

/** The beacon of the anchor, which has to be young where it begins an order. */
function checkAnchor(reads: BatchReads, ctx: Context, anchorHeight: bigint, begins: boolean): Uint8Array {
  const age = ctx.height - anchorHeight;
  const beacon = age > 0n && (age <= reads.params.maxAnchorAge || !begins) && reads.beacon(anchorHeight);
  if (!beacon) throw new ChainError(ERRORS.anchorOutOfRange, `anchor ${anchorHeight} at height ${ctx.height}`);
  return beacon;
}

function checkReceipt(
  reads: BatchReads,
  totals: StartTotals,
  ctx: Context,
  maxInputTokens: number,
  { promptTokens, deadlineHeight }: Promised,
): void {
  if (promptTokens > maxInputTokens) {
    throw new ChainError(ERRORS.receiptMismatch, `${maxInputTokens} prompt tokens were authorized, prefix included`);
  }
  // A start that comes after its deadline would be a miss that the executor could not avoid.
  const latest = ctx.height + reads.params.inferenceDeadline;
  if (deadlineHeight < ctx.height || deadlineHeight > latest) {
    throw new ChainError(ERRORS.deadlineOutOfRange, `deadline ${deadlineHeight}, latest ${latest}`);
  }
  if (totals.startedWith(ctx, deadlineHeight) >= MAX_PER_DEADLINE) {
    throw new ChainError(
      ERRORS.deadlineOutOfRange,
      `deadline ${deadlineHeight} is taken by ${MAX_PER_DEADLINE}: choose another`,
    );
  }
}

/** The executor must stand at its attempt's place in the order that the anchor's beacon gives. */
function checkDraw(
  reads: BatchReads,
  { id, authorization }: Opened,
  beacon: Uint8Array,
  { executor, attempt }: Promised,
): { drawn: Candidate; skipped: readonly string[] } {
  const { model, anchorHeight, maxInputPrice, maxOutputPrice } = authorization;
  const { table, candidates } = reads.drawable({ model, anchorHeight, maxInputPrice, maxOutputPrice });
  const order = attempt < candidates.size ? table.executorOrder(beacon, id, attempt + 1) : [];
  if (order[attempt] !== executor) {
    throw new ChainError(ERRORS.executorNotDrawn, `attempt ${attempt} is ${order[attempt] ?? "nobody"}`);
  }
  return { drawn: candidates.get(executor)!, skipped: order.slice(0, attempt) };
}

function checkSignatures(
  reads: BatchReads,
  ctx: Context,
  sender: string,
  id: Uint8Array,
  { id: orderId, authorization }: Opened,
  promised: Promised,
  entry: inference.StartEntry,
  skipped: readonly string[],
): void {
  // The client has signed the order. Only the transfer agent can say that it broke off, and where: else whoever is drawn could.
  const { transferAgent } = authorization;
  const [signer, key] = entry.prefix
    ? (["transfer agent", reads.participant(transferAgent)?.nodeKey] as const)
    : (["client", authorization.key] as const);
  const said = entry.prefix !== undefined && sender === transferAgent;
  if (!said && !isDigestSignedBy(ctx, id, entry.signature, key)) {
    throw new ChainError(ERRORS.invalidSignature, `not the ${signer}'s signature`);
  }
  const { chainId } = ctx;
  const { executor } = promised;
  if (sender !== executor) {
    const receipt = encodeSigned("receipt", { chainId, inferenceId: id, ...promised });
    if (!isSignedBy(ctx, receipt, entry.receiptSignature, reads.participant(executor)?.nodeKey)) {
      throw new ChainError(ERRORS.invalidReceiptSignature, "not the executor's signature");
    }
  }
  if (entry.skips.length !== skipped.length) {
    throw new ChainError(ERRORS.invalidSkips, `${skipped.length} places were passed over, ${entry.skips.length} named`);
  }
  for (const [attempt, passed] of skipped.entries()) {
    const { reason, busySignature } = entry.skips[attempt]!;
    const valid =
      reason.length <= MAX_REASON_CHARS &&
      (busySignature.length === 0 ||
        isSignedBy(
          ctx,
          encodeSigned("busy", { chainId, inferenceId: orderId, attempt, executor: passed }),
          busySignature,
          reads.participant(passed)?.nodeKey,
        ));
    if (!valid) throw new ChainError(ERRORS.invalidSkips, `attempt ${attempt}`);
  }
}

/** Locks an amount, less what is given back of another part. */
function hold(deps: RecordDeps, ctx: Context, client: string, amount: bigint, freed: bigint): void {
  try {
    if (amount >= freed) deps.deposits.lock(ctx, client, amount - freed);
    else deps.deposits.unlock(ctx, client, freed - amount);
  } catch (error) {
    if (!isRefusal(error)) throw error;
    throw new ChainError(ERRORS.insufficientDeposit, error.message);
  }
}
