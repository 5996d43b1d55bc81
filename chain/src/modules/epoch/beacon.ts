import { domainHash } from "@karat/rules";
import type { Context } from "../../app/module.ts";
import type { BeaconSource } from "./expects.ts";
import { beacons, newestBeacon, STORE } from "./keys.ts";

const DOMAIN = "karat/beacon";
/** Old beacons deleted in one block; more than one, so that a shorter window is reached at last. */
const PRUNED_PER_BLOCK = 4;

/** The hash of the block: whoever proposes may try a few, so large stakes want signatures of the validators instead. */
export const blockHashBeacon: BeaconSource = { contribution: (ctx) => ctx.blockHash };

/** What the first block's beacon follows on. */
export function genesisBeacon(chainId: string): Uint8Array {
  return domainHash(DOMAIN, chainId);
}

/** beacon(h) = H(domain, chain id, beacon(h−1), h, contribution of h); forgets those older than `window`. */
export function advanceBeacon(ctx: Context, source: BeaconSource, window: bigint): void {
  const store = ctx.store(STORE);
  const previous = beacons.get(store, newestBeacon.get(store) ?? 0n) ?? genesisBeacon(ctx.chainId);
  beacons.set(store, ctx.height, domainHash(DOMAIN, ctx.chainId, previous, ctx.height, source.contribution(ctx)));
  newestBeacon.set(store, ctx.height);
  const oldest = Array.from(beacons.entries(store, { limit: PRUNED_PER_BLOCK }), ([height]) => height);
  for (const height of oldest) if (height + window < ctx.height) beacons.delete(store, height);
}
