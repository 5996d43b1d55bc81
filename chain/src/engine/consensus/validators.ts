import { KaratError, toHex } from "@karat/common";
import type { ValidatorUpdate } from "cosmjs-types/tendermint/abci/types";
import type { PublicKey } from "cosmjs-types/tendermint/crypto/keys";
import { ed25519Address } from "./keys.ts";

/** A member of the validator set. `power` > 0. */
export interface ValidatorInfo {
  /** 20 bytes, derived from the key. */
  readonly address: Uint8Array;
  readonly pubKey: PublicKey;
  readonly power: bigint;
}

/** CometBFT's cap on the whole set's power: an eighth of the largest int64. */
const MAX_TOTAL_POWER = (2n ** 63n - 1n) / 8n;

/** The set's own order: power falling, then address rising. The validators hash depends on it. */
function inSetOrder(validators: ValidatorInfo[]): ValidatorInfo[] {
  return validators.sort((a, b) =>
    a.power === b.power ? Buffer.compare(a.address, b.address) : a.power > b.power ? -1 : 1,
  );
}

/** A validator of an Ed25519 key. */
export function validatorOf(publicKey: Uint8Array, power: bigint): ValidatorInfo {
  return { address: ed25519Address(publicKey), pubKey: { ed25519: publicKey }, power };
}

/**
 * The set after the application's updates (power 0 removes). Throws `engine/bad-validator-update` where CometBFT would
 * stop: another key type than Ed25519, a negative power, a key twice, the removal of an unknown one, an empty set, too much power.
 */
export function updateValidators(
  current: readonly ValidatorInfo[],
  updates: readonly ValidatorUpdate[],
): readonly ValidatorInfo[] {
  if (updates.length === 0) return current;
  const refuse = (reason: string, data: Record<string, unknown>): never => {
    throw new KaratError(
      "engine/bad-validator-update",
      `the application's validator updates are invalid: ${reason}`,
      data,
    );
  };
  const set = new Map(current.map((validator) => [toHex(validator.address), validator]));
  const seen = new Set<string>();
  for (const update of updates) {
    const key = update.pubKey.ed25519;
    if (key === undefined || key.length !== 32) return refuse("not an Ed25519 key", {});
    const validator = validatorOf(key, update.power);
    const address = toHex(validator.address);
    if (update.power < 0n) refuse("negative power", { address, power: update.power });
    if (seen.has(address)) refuse("one key twice", { address });
    seen.add(address);
    if (update.power > 0n) set.set(address, validator);
    else if (!set.delete(address)) refuse("removal of a key that is not in the set", { address });
  }
  const next = inSetOrder([...set.values()]);
  if (next.length === 0) refuse("the set would be empty", {});
  if (totalPower(next) > MAX_TOTAL_POWER) refuse("too much power", { total: totalPower(next) });
  return next;
}

export const totalPower = (validators: readonly ValidatorInfo[]): bigint =>
  validators.reduce((sum, { power }) => sum + power, 0n);
