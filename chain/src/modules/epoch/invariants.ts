import type { Context } from "../../app/module.ts";
import type { EpochKeeper } from "./keeper.ts";
import { epochs, STORE } from "./keys.ts";

export function epochInvariants(keeper: EpochKeeper, ctx: Context): string[] {
  const broken: string[] = [];
  let previous: bigint | undefined;
  for (const [number, entry] of epochs.entries(ctx.store(STORE))) {
    if (previous !== undefined && entry.startHeight !== previous + 1n) broken.push(`epoch ${number} leaves a gap`);
    previous = entry.endHeight;
  }
  const { startHeight, endHeight, number } = keeper.current(ctx);
  if (startHeight > ctx.height + 1n || endHeight < ctx.height) {
    broken.push(`epoch ${number} (${startHeight}..${endHeight}) does not cover height ${ctx.height}`);
  }
  return broken;
}
