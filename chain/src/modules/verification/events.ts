/** Events of the module: ids as lower-case hex, participants as operator addresses. */
import { toHex } from "@karat/common";
import { verification } from "@karat/proto";
import type { Context } from "../../app/module.ts";

export function emitDuty(ctx: Context, duty: verification.Duty): void {
  ctx.emit("duty_assigned", {
    inference_id: toHex(duty.inferenceId),
    validator: duty.validator,
    deadline: String(duty.deadlineHeight),
    committee: String(duty.committee),
  });
}

export function emitDutyMissed(ctx: Context, duty: verification.Duty): void {
  ctx.emit("duty_missed", { inference_id: toHex(duty.inferenceId), validator: duty.validator });
}

export function emitCommitted(ctx: Context, validator: string, inferenceId: Uint8Array): void {
  ctx.emit("check_committed", { inference_id: toHex(inferenceId), validator });
}

/** A committee asks for a window of what the validator has committed to. */
export function emitWindowWanted(ctx: Context, duty: verification.Duty, deadline: bigint): void {
  const { validator, inferenceId } = duty;
  ctx.emit("window_wanted", { inference_id: toHex(inferenceId), validator, deadline: String(deadline) });
}

export function emitValuesRejected(
  ctx: Context,
  inferenceId: Uint8Array,
  validator: string,
  reason: "apart" | "withheld",
): void {
  ctx.emit("values_rejected", { inference_id: toHex(inferenceId), validator, reason });
}

export function emitVerdict(ctx: Context, validator: string, record: verification.VerdictRecord): void {
  ctx.emit("verdict", {
    inference_id: toHex(record.inferenceId),
    validator,
    verdict: verification.verdictToJSON(record.verdict).slice("VERDICT_".length).toLowerCase(),
    p_bucket: String(record.pBucket),
  });
}

export function emitDecided(ctx: Context, check: verification.Check): void {
  ctx.emit("check_decided", {
    inference_id: toHex(check.inferenceId),
    executor: check.executor,
    status: verification.checkStatusToJSON(check.status).slice("CHECK_STATUS_".length).toLowerCase(),
  });
}
