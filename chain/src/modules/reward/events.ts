import type { Context } from "../../app/module.ts";

export function rewardsSettled(
  ctx: Context,
  number: bigint,
  sums: { readonly emission: bigint; readonly dutyPool: bigint; readonly community: bigint },
): void {
  ctx.emit("rewards_settled", {
    epoch: number.toString(),
    emission: sums.emission.toString(),
    duty_pool: sums.dutyPool.toString(),
    community: sums.community.toString(),
  });
}

export function rewardsClaimed(ctx: Context, participant: string, number: bigint, amount: bigint): void {
  ctx.emit("rewards_claimed", { participant, epoch: number.toString(), amount: amount.toString() });
}

export function rewardsForfeited(ctx: Context, participant: string, number: bigint, amount: bigint): void {
  ctx.emit("rewards_forfeited", { participant, epoch: number.toString(), amount: amount.toString() });
}

export function rewardsExpired(ctx: Context, amount: bigint): void {
  ctx.emit("rewards_expired", { amount: amount.toString() });
}
