import { verification } from "@karat/proto";
import { ChainError } from "../../../app/errors.ts";
import type { Context } from "../../../app/module.ts";
import { defineBatch } from "../../inference/index.ts";
import { ERRORS } from "../errors.ts";
import { emitVerdict } from "../events.ts";
import type { VerificationDeps } from "../expects.ts";
import { conclude, isMoot, putAnswer, putOpen, read } from "../keeper.ts";
import { agenda, STORE } from "../keys.ts";
import { answer, type Decision, dutyOf, isDutyOpen, isObjection, isOpen, object, tally } from "../transition.ts";

const { CheckStatus: Status, Verdict } = verification;
const MAX_BUCKET = 10;
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
  if (duty.verdict !== Verdict.UNSPECIFIED) {
    if (duty.verdict === record.verdict) return "already recorded";
    throw new ChainError(ERRORS.alreadyAnswered, "a verdict cannot be changed");
  }
  // Also where the end of the block has not come to it yet, and where the check has ended without this verdict.
  if (ctx.height > duty.deadlineHeight || !isOpen(check.status)) {
    throw new ChainError(ERRORS.late, `deadline ${duty.deadlineHeight}, height ${ctx.height}`);
  }
  const heard = answer(check, duty, record, ctx.height);
  putAnswer(deps, ctx, heard, validator);
  emitVerdict(ctx, validator, record);
  react(deps, ctx, heard, record.verdict, duty.deadlineHeight);
  return "";
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
    agenda.delete(ctx.store(STORE), [due, check.inferenceId]);
    // The beacon of the next block draws the committee: the objector cannot know it.
    putOpen(deps, ctx, object(check), ctx.height + 1n);
    return;
  }
  const decision = decisionOf(deps, ctx, check, verdict);
  if (decision === undefined) return;
  agenda.delete(ctx.store(STORE), [due, check.inferenceId]);
  conclude(deps, ctx, check, decision);
}

function decisionOf(
  deps: VerificationDeps,
  ctx: Context,
  check: verification.Check,
  verdict: verification.Verdict,
): Decision | undefined {
  if (isMoot(deps, ctx, check.inferenceId)) return "close";
  if (check.status === Status.PENDING) return verdict === Verdict.VALID ? "accept" : "abstain";
  return check.duties.some(isDutyOpen) ? undefined : tally(check, deps.params.get(ctx).committeeQuorum);
}
