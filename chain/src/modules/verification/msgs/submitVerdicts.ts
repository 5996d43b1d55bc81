import { verification } from "@karat/proto";
import { checkCommitment, checkValuesWindow, compareBytes, isRuleError } from "@karat/rules";
import { ChainError } from "../../../app/errors.ts";
import type { Context } from "../../../app/module.ts";
import { defineBatch } from "../../inference/index.ts";
import { windowOf } from "../draw.ts";
import { ERRORS } from "../errors.ts";
import { emitVerdict } from "../events.ts";
import type { VerificationDeps } from "../expects.ts";
import { conclude, isMoot, putAnswer, putDone, putOpen, read } from "../keeper.ts";
import { agenda, STORE } from "../keys.ts";
import {
  aloneDecides,
  answer,
  type Decision,
  dueOf,
  dutyOf,
  hasCommitted,
  hear,
  isAwaited,
  isCommitting,
  isObjection,
  isOpen,
  object,
  objectorOf,
  open,
  outcomeOf,
  owesWindow,
  type Window,
} from "../transition.ts";

const { CheckStatus: Status, Verdict } = verification;
const MAX_BUCKET = 10;
const MIN_SALT = 16;
const MAX_SALT = 64;
const KNOWN: ReadonlySet<verification.Verdict> = new Set([
  Verdict.VALID,
  Verdict.INVALID,
  Verdict.UNAVAILABLE,
  Verdict.ABSTAIN,
]);

/** Verdicts on inferences that the sender was drawn to check. From its validator address. */
export const submitVerdicts = (deps: VerificationDeps) =>
  defineBatch({
    codec: verification.MsgSubmitVerdicts,
    response: {
      typeUrl: "/karat.verification.v1.MsgSubmitVerdictsResponse",
      codec: verification.MsgSubmitVerdictsResponse,
    },
    errors: ERRORS,
    senderOf: (ctx, address) => deps.participants.byValidatorAddress(ctx, address),
    recordsOf: (message) => message.verdicts,
    idOf: (record) => record.inferenceId,
    run: (_ctx, sender) => (inner, record) => submitOne(deps, inner, sender.operator, record),
  });

function submitOne(
  deps: VerificationDeps,
  ctx: Context,
  validator: string,
  record: verification.VerdictRecord,
): string {
  checkContent(record);
  const check = read(ctx, record.inferenceId);
  if (check === undefined) throw new ChainError(ERRORS.unknownCheck, "no check of this inference");
  const duty = dutyOf(check, validator);
  if (duty === undefined) throw new ChainError(ERRORS.notDrawn, `${validator} was not drawn`);
  // An answer of before stays what it was; a committee asks for a window of its values.
  if (duty.verdict !== Verdict.UNSPECIFIED) {
    if (duty.verdict !== record.verdict) throw new ChainError(ERRORS.alreadyAnswered, "a verdict cannot be changed");
    if (!owesWindow(check, duty) || record.window === undefined) return "already recorded";
    checkOpening(deps, ctx, duty, record);
    const opened = open(check, duty, windowFor(deps, ctx, check, record));
    putDone(ctx, opened, validator);
    concludeOrWait(deps, ctx, opened, dueOf(check));
    return "";
  }
  // Also where the end of the block has not come to it yet, and where the check has ended without this verdict.
  requireInTime(ctx, check, duty, duty.deadlineHeight);
  checkOpening(deps, ctx, duty, record);
  if (check.duties.some((other) => other !== duty && other.committee && isCommitting(other))) {
    throw new ChainError(ERRORS.stillCommitting, "other members of the committee may still commit");
  }
  const window = duty.committee && hasCommitted(duty) ? memberWindow(deps, ctx, check, record) : undefined;
  const heard = answer(check, duty, record, ctx.height, window);
  putAnswer(deps, ctx, heard, validator);
  emitVerdict(ctx, validator, record);
  react(deps, ctx, heard, record.verdict, dueOf(check));
  return "";
}

/** Throws `late` for a duty that has passed to another or ended, and after `deadline`. */
export function requireInTime(
  ctx: Context,
  check: verification.Check,
  duty: verification.Duty,
  deadline: bigint,
): void {
  if (ctx.height <= deadline && !duty.missed && isOpen(check.status)) return;
  throw new ChainError(ERRORS.late, `deadline ${deadline}, height ${ctx.height}`);
}

/**
 * A verdict opens the commitment. Only who found nothing to compute with has none: its request refused by the engine, or not to be
 * had.
 */
function checkOpening(
  deps: VerificationDeps,
  ctx: Context,
  duty: verification.Duty,
  record: verification.VerdictRecord,
): void {
  if (!hasCommitted(duty)) {
    if (record.verdict === Verdict.ABSTAIN || record.verdict === Verdict.UNAVAILABLE) return;
    throw new ChainError(ERRORS.notCommitted, "commit to own values before a verdict about others");
  }
  const { inferenceId, valuesHash, gatedMargins, positions, salt } = record;
  if (valuesHash.length !== 32 || salt.length < MIN_SALT || salt.length > MAX_SALT) {
    throw new ChainError(ERRORS.invalidCommitment, `values hash of ${valuesHash.length}, salt of ${salt.length} bytes`);
  }
  const { chainId } = ctx;
  const { validator } = duty;
  const opened = checkCommitment({ chainId, inferenceId, validator, valuesHash, gatedMargins, positions, salt });
  const isEmpty = (): boolean => deps.inferences.get(ctx, inferenceId)?.completionTokens === 0;
  if (positions === 0 && !isObjection(record.verdict) && !isEmpty()) {
    throw new ChainError(ERRORS.invalidCommitment, "only an impossible answer is found so without any values");
  }
  if (compareBytes(opened, duty.commitment) !== 0) {
    throw new ChainError(ERRORS.commitmentMismatch, "values, sampling statistics or salt are not what was committed");
  }
}

/** Only an answer that is impossible whatever its values are has none to be compared. */
function memberWindow(
  deps: VerificationDeps,
  ctx: Context,
  check: verification.Check,
  record: verification.VerdictRecord,
): Window | undefined {
  return isObjection(record.verdict) && record.positions === 0 ? undefined : windowFor(deps, ctx, check, record);
}

/** The drawn window of the values that the record opens the commitment with. */
function windowFor(
  deps: VerificationDeps,
  ctx: Context,
  check: verification.Check,
  { window, valuesHash, positions }: verification.VerdictRecord,
): Window {
  const index = windowOf(deps, ctx, check);
  if (index === undefined) throw new ChainError(ERRORS.stillCommitting, "the window is drawn with the next block");
  if (window === undefined) throw new ChainError(ERRORS.windowMissing, `open window ${index} of the committed values`);
  try {
    return { window: window.coded, windowPositions: checkValuesWindow(valuesHash, { index, positions, ...window }) };
  } catch (error) {
    if (!isRuleError(error, "invalid_artifact")) throw error;
    throw new ChainError(ERRORS.windowMismatch, `window ${index}: ${error.message}`);
  }
}

function checkContent(record: verification.VerdictRecord): void {
  if (!KNOWN.has(record.verdict) || record.pBucket > MAX_BUCKET || record.evidenceHash.length !== 32) {
    throw new ChainError(ERRORS.invalidVerdict, `verdict ${record.verdict}, bucket ${record.pBucket}`);
  }
}

/** What a verdict leads to; nothing yet where other members of the committee are still to be heard. */
function react(
  deps: VerificationDeps,
  ctx: Context,
  check: verification.Check,
  verdict: verification.Verdict,
  due: bigint,
): void {
  if (check.status === Status.PENDING && isObjection(verdict) && !isMoot(deps, ctx, check.inferenceId)) {
    // The beacon of the next block draws the committee: the objector cannot know it.
    const bond = deps.params.get(ctx).accusationBond;
    const accuser = objectorOf(check)!;
    if (!deps.participants.lockBond(ctx, accuser, bond)) {
      throw new ChainError(ERRORS.bondNotCovered, `${bond} ukarat of free collateral are needed to accuse`);
    }
    agenda.delete(ctx.store(STORE), [due, check.inferenceId]);
    putOpen(deps, ctx, { ...object(check), bond });
  } else concludeOrWait(deps, ctx, check, due);
}

/** Ends a check that `due` was the agenda's height of, or puts it where it now belongs. */
function concludeOrWait(deps: VerificationDeps, ctx: Context, check: verification.Check, due: bigint): void {
  agenda.delete(ctx.store(STORE), [due, check.inferenceId]);
  const decision = decisionOf(deps, ctx, check);
  if (decision === "hear") putOpen(deps, ctx, hear(check));
  else if (decision === undefined) agenda.set(ctx.store(STORE), [dueOf(check), check.inferenceId], true);
  else conclude(deps, ctx, check, decision);
}

function decisionOf(deps: VerificationDeps, ctx: Context, check: verification.Check): Decision | "hear" | undefined {
  if (isMoot(deps, ctx, check.inferenceId)) return "close";
  const { secondLookMicros, committeeQuorum } = deps.params.get(ctx);
  if (check.status === Status.PENDING) return secondLookMicros > 0 ? "hear" : aloneDecides(check);
  return isAwaited(check) ? undefined : outcomeOf(check, committeeQuorum);
}
