import { secp256k1 } from "@noble/curves/secp256k1.js";
import { expect, test } from "vitest";
import {
  addressBytes,
  addressOfKey,
  newPrivateKey,
  publicKeyOf,
  sha256,
  sharedSecret,
  signDigest,
  verifySignature,
} from "../index.ts";

const digest = sha256(new TextEncoder().encode("karat"));

test("two keys share the secret that noble gives them, from either side", () => {
  const [mine, theirs] = [newPrivateKey(), newPrivateKey()];
  const secret = sharedSecret(mine, publicKeyOf(theirs));
  expect(secret).toEqual(sharedSecret(theirs, publicKeyOf(mine)));
  expect(secret).toEqual(secp256k1.getSharedSecret(mine, publicKeyOf(theirs)).subarray(1));
  expect(() => sharedSecret(mine, new Uint8Array(33))).toThrow();
});

test("signs and verifies as noble does, with the same public key", () => {
  const key = newPrivateKey();
  const signature = signDigest(digest, key);
  expect(publicKeyOf(key)).toEqual(secp256k1.getPublicKey(key, true));
  expect(verifySignature(digest, signature, publicKeyOf(key))).toBe(true);
  expect(secp256k1.verify(signature, digest, publicKeyOf(key), { prehash: false })).toBe(true);
});

test("refuses the malleable high-S twin of a good signature", () => {
  const key = newPrivateKey();
  const signature = signDigest(digest, key);
  const n = secp256k1.Point.Fn.ORDER;
  const s = BigInt(`0x${Buffer.from(signature.subarray(32)).toString("hex")}`);
  const high = Uint8Array.from([
    ...signature.subarray(0, 32),
    ...Buffer.from((n - s).toString(16).padStart(64, "0"), "hex"),
  ]);
  expect(verifySignature(digest, high, publicKeyOf(key))).toBe(false);
});

test("malformed keys and signatures are false, not exceptions", () => {
  expect(verifySignature(digest, new Uint8Array(64), new Uint8Array(33))).toBe(false);
  expect(verifySignature(digest, new Uint8Array(63), publicKeyOf(newPrivateKey()))).toBe(false);
});

test("addresses are bech32 with the karat prefix and decode to 20 bytes", () => {
  const address = addressOfKey(publicKeyOf(newPrivateKey()));
  expect(address).toMatch(/^karat1[a-z0-9]{38}$/);
  expect(addressBytes(address)).toHaveLength(20);
  expect(addressBytes(address.toUpperCase())).toBeUndefined();
  expect(addressBytes("cosmos1xyz")).toBeUndefined();
});
