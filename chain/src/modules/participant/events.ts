import type { participant } from "@karat/proto";
import type { Context } from "../../app/module.ts";

export function participantRegistered(ctx: Context, p: participant.Participant): void {
  ctx.emit("participant_registered", {
    participant: p.operator,
    node: p.nodeAddress,
    url: p.url,
    collateral: p.collateral.toString(),
  });
}

export function participantUpdated(ctx: Context, p: participant.Participant): void {
  ctx.emit("participant_updated", { participant: p.operator, node: p.nodeAddress, url: p.url });
}

export function collateralAdded(ctx: Context, operator: string, amount: bigint): void {
  ctx.emit("collateral_added", { participant: operator, amount: amount.toString() });
}

export function participantLeaving(ctx: Context, operator: string, unlockHeight: bigint): void {
  ctx.emit("participant_leaving", { participant: operator, unlock_height: unlockHeight.toString() });
}

export function collateralWithdrawn(ctx: Context, operator: string, amount: bigint): void {
  ctx.emit("collateral_withdrawn", { participant: operator, amount: amount.toString() });
}

export function participantFined(ctx: Context, operator: string, amount: bigint): void {
  ctx.emit("participant_fined", { participant: operator, amount: amount.toString() });
}

export function participantExcluded(ctx: Context, p: participant.Participant, slashed: bigint): void {
  ctx.emit("participant_excluded", {
    participant: p.operator,
    epoch: p.excludedEpoch.toString(),
    slashed: slashed.toString(),
    convictions: p.convictions.toString(),
  });
}
