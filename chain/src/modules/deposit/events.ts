import type { Context } from "../../app/module.ts";

export function deposited(ctx: Context, client: string, sender: string, amount: bigint): void {
  ctx.emit("deposit", { client, sender, amount: amount.toString() });
}

export function refundRequested(ctx: Context, client: string, amount: bigint, refundHeight: bigint): void {
  ctx.emit("refund_requested", { client, amount: amount.toString(), refund_height: refundHeight.toString() });
}

export function depositWithdrawn(ctx: Context, client: string, amount: bigint): void {
  ctx.emit("deposit_withdrawn", { client, amount: amount.toString() });
}
