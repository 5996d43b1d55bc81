import { verification } from "@karat/proto";
import { compareBytes } from "@karat/rules";
import { ChainError } from "../../../app/errors.ts";
import type { Context } from "../../../app/module.ts";
import { defineBatch } from "../../inference/index.ts";
import { ERRORS } from "../errors.ts";
import { emitCommitted } from "../events.ts";
import type { VerificationDeps } from "../expects.ts";
import { putMoved, read } from "../keeper.ts";
import { commit, dutyOf, hasCommitted, isDutyOpen } from "../transition.ts";
import { requireInTime } from "./submitVerdicts.ts";

/** Hashes of the sender's own values, before it may see what the executors recorded. From its validator address. */
export const commitChecks = (deps: VerificationDeps) =>
  defineBatch({
    codec: verification.MsgCommitChecks,
    response: {
      typeUrl: "/karat.verification.v1.MsgCommitChecksResponse",
      codec: verification.MsgCommitChecksResponse,
    },
    errors: ERRORS,
    senderOf: (ctx, address) => deps.participants.byValidatorAddress(ctx, address),
    recordsOf: (message) => message.commitments,
    idOf: (record) => record.inferenceId,
    run: (_ctx, sender) => (inner, record) => commitOne(inner, sender.operator, record),
  });

function commitOne(ctx: Context, validator: string, record: verification.CheckCommitment): string {
  const { inferenceId, commitment } = record;
  if (commitment.length !== 32) throw new ChainError(ERRORS.invalidCommitment, `${commitment.length} bytes`);
  const check = read(ctx, inferenceId);
  if (check === undefined) throw new ChainError(ERRORS.unknownCheck, "no check of this inference");
  const duty = dutyOf(check, validator);
  if (duty === undefined) throw new ChainError(ERRORS.notDrawn, `${validator} was not drawn`);
  if (hasCommitted(duty)) {
    if (compareBytes(duty.commitment, commitment) === 0) return "already recorded";
    throw new ChainError(ERRORS.alreadyCommitted, "a commitment cannot be changed");
  }
  requireInTime(ctx, check, duty, duty.commitDeadlineHeight);
  if (!isDutyOpen(duty)) throw new ChainError(ERRORS.alreadyAnswered, "answered without a commitment");
  putMoved(ctx, check, commit(check, duty, commitment, ctx.height));
  emitCommitted(ctx, validator, inferenceId);
  return "";
}
