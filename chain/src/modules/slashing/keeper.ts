import { sha256 } from "@karat/common";
import type { slashing } from "@karat/proto";
import type { ConsensusFacts, Context } from "../../app/module.ts";
import { bytes } from "../../store/collections.ts";
import type { SlashingDeps } from "./expects.ts";
import { changed, infos, missed, STORE } from "./keys.ts";
import { isDown, isQuorum, newInfo, positionOf, type Rules } from "./transition.ts";

/** Misses of a validator that one block forgets where its window begins anew. */
const FORGOTTEN_PER_BLOCK = 256;

export const infoOf = (ctx: Context, address: Uint8Array): slashing.SigningInfo | undefined =>
  infos.get(ctx.store(STORE), address);

export const isJailed = (ctx: Context, consensusKey: Uint8Array): boolean =>
  infoOf(ctx, sha256(consensusKey).slice(0, 20))?.jailed ?? false;

export function takeChanged(ctx: Context): boolean {
  const store = ctx.store(STORE);
  if (changed.get(store) === undefined) return false;
  changed.delete(store);
  return true;
}

/** Each proven once: collateral, rewards of the epoch, duties and consensus power are gone, for good. */
export function punish(deps: SlashingDeps, ctx: Context, { misbehavior }: ConsensusFacts): void {
  for (const { address, height } of misbehavior) {
    const owner = deps.participants.byConsensusAddress(ctx, address);
    if (owner === undefined) continue;
    const before = infoOf(ctx, address);
    if (before?.tombstoned) continue;
    const { operator } = owner;
    const { doubleSignSlashBps, signedBlocksWindow } = deps.params.get(ctx);
    const slashed = deps.participants.slash(ctx, operator, doubleSignSlashBps);
    deps.participants.tombstone(ctx, operator);
    deps.epochs.exclude(ctx, operator);
    deps.rewards.exclude(ctx, operator, deps.epochs.current(ctx).number);
    const info = before ?? newInfo(operator, ctx.height, signedBlocksWindow);
    write(ctx, address, { ...info, operator, jailed: true, tombstoned: true });
    changed.set(ctx.store(STORE), true);
    ctx.emit("slash", {
      participant: operator,
      reason: "double_sign",
      height: height.toString(),
      slashed: slashed.toString(),
    });
  }
}

/**
 * Counts who has signed the last block. A validator that signs, and has missed nothing, costs one read and no write. Commits that
 * cannot be CometBFT's count for nobody.
 */
export function countVotes(deps: SlashingDeps, ctx: Context, { votes }: ConsensusFacts): void {
  const rules = deps.params.get(ctx);
  if (rules.signedBlocksWindow === 0n || !isQuorum(votes)) return;
  for (const { address, signed } of votes) countVote(deps, ctx, address, signed, rules);
}

function countVote(
  deps: SlashingDeps,
  ctx: Context,
  address: Uint8Array,
  signed: boolean,
  rules: Rules & { readonly downtimeJailBlocks: bigint; readonly downtimeSlashBps: number },
): void {
  const info = current(deps, ctx, address, rules.signedBlocksWindow);
  if (info === undefined || info.jailed || (signed && info.missed === 0n)) return;
  const store = ctx.store(STORE);
  const key = [address, positionOf(ctx.height, info.window)] as const;
  const had = missed.has(store, key);
  if (had === !signed) {
    if (!signed && isDown(info, ctx.height, rules)) jail(deps, ctx, address, info, rules);
    return;
  }
  if (signed) missed.delete(store, key);
  else missed.set(store, key, true);
  const after = { ...info, missed: info.missed + (signed ? -1n : 1n) };
  if (isDown(after, ctx.height, rules)) jail(deps, ctx, address, after, rules);
  else write(ctx, address, after);
}

/** What is known of a validator; new where it is new, belongs to another operator now, or the window has another length. */
function current(
  deps: SlashingDeps,
  ctx: Context,
  address: Uint8Array,
  window: bigint,
): slashing.SigningInfo | undefined {
  const info = infoOf(ctx, address);
  if (info !== undefined && info.window === window && info.missed === 0n) return info;
  const operator = deps.participants.byConsensusAddress(ctx, address)?.operator;
  if (operator === undefined) return undefined;
  if (info === undefined) {
    const fresh = newInfo(operator, ctx.height, window);
    write(ctx, address, fresh);
    return fresh;
  }
  if (info.window === window && info.operator === operator) return info;
  if (info.jailed) return info;
  return forget(ctx, address, { ...newInfo(operator, ctx.height, window), missed: info.missed });
}

/** Goes on in the next block where there are too many; meanwhile the window has not begun. */
export function forget(
  ctx: Context,
  address: Uint8Array,
  info: slashing.SigningInfo,
): slashing.SigningInfo | undefined {
  const store = ctx.store(STORE);
  const old = Array.from(
    missed.entries(store, { prefix: bytes.toKey(address), limit: FORGOTTEN_PER_BLOCK }),
    ([key]) => key,
  );
  for (const key of old) missed.delete(store, key);
  const left = info.missed - BigInt(old.length);
  // A window of length 0 is never the present one: the next block comes back here.
  const after = { ...info, missed: left, window: left === 0n ? info.window : 0n };
  write(ctx, address, after);
  return left === 0n ? after : undefined;
}

function jail(
  deps: SlashingDeps,
  ctx: Context,
  address: Uint8Array,
  info: slashing.SigningInfo,
  rules: { readonly downtimeJailBlocks: bigint; readonly downtimeSlashBps: number },
): void {
  const slashed = deps.participants.slash(ctx, info.operator, rules.downtimeSlashBps);
  write(ctx, address, { ...info, jailed: true, jailedUntil: ctx.height + rules.downtimeJailBlocks });
  changed.set(ctx.store(STORE), true);
  ctx.emit("slash", {
    participant: info.operator,
    reason: "downtime",
    height: ctx.height.toString(),
    slashed: slashed.toString(),
  });
}

export const write = (ctx: Context, address: Uint8Array, info: slashing.SigningInfo): void =>
  infos.set(ctx.store(STORE), address, info);
