import type { epoch } from "@karat/proto";
import type { Context } from "../../app/module.ts";

export function epochStarted(ctx: Context, e: epoch.Epoch): void {
  ctx.emit("epoch_started", {
    epoch: e.number.toString(),
    start_height: e.startHeight.toString(),
    end_height: e.endHeight.toString(),
    members: e.members.length.toString(),
    weight: e.members.reduce((sum, { weight }) => sum + weight, 0n).toString(),
  });
}

export function participantReinstated(ctx: Context, operator: string, number: bigint): void {
  ctx.emit("participant_reinstated", { participant: operator, epoch: number.toString() });
}
