import { isKaratError } from "@karat/common";
import { describe, expect, test } from "vitest";
import { ed25519Key } from "./keys.ts";
import { updateValidators, validatorOf } from "./validators.ts";

const key = (seed: number) => ed25519Key(new Uint8Array(32).fill(seed)).publicKey;
const update = (seed: number, power: bigint) => ({ pubKey: { ed25519: key(seed) }, power });
const refused = (job: () => unknown): boolean => {
  try {
    job();
    return false;
  } catch (error) {
    return isKaratError(error, "engine/bad-validator-update");
  }
};

describe("validator updates", () => {
  const set = updateValidators([], [update(1, 10n), update(2, 10n), update(3, 30n)]);

  test("the set is ordered by falling power, then rising address", () => {
    const byAddress = [validatorOf(key(1), 10n), validatorOf(key(2), 10n)].sort((a, b) =>
      Buffer.compare(a.address, b.address),
    );
    expect(set).toEqual([validatorOf(key(3), 30n), ...byAddress]);
  });

  test("power zero removes, another power replaces", () => {
    const next = updateValidators(set, [update(3, 0n), update(1, 99n)]);
    expect(next).toEqual([validatorOf(key(1), 99n), validatorOf(key(2), 10n)]);
    expect(set).toHaveLength(3);
  });

  test.each([
    ["a key twice", [update(1, 1n), update(1, 2n)]],
    ["a negative power", [update(1, -1n)]],
    ["the removal of an unknown key", [update(9, 0n)]],
    ["the removal of all", [update(1, 0n), update(2, 0n), update(3, 0n)]],
    ["more power than an eighth of int64", [update(1, 2n ** 60n)]],
    ["another key type", [{ pubKey: { secp256k1: new Uint8Array(33) }, power: 1n }]],
  ])("refuses %s", (_, updates) => {
    expect(refused(() => updateValidators(set, updates))).toBe(true);
  });
});
