import { randomBytes } from "node:crypto";
import { secp256k1 as noble } from "@noble/curves/secp256k1.js";
import fc from "fast-check";
import { describe, expect, test, vi } from "vitest";
import { fromHex, isKaratError, toHex, utf8 } from "../index.ts";
import type { Secp256k1 } from "./implementation.ts";
import { sha256, verifyWith } from "./index.ts";
import { loadNative } from "./native.ts";
import { selectSecp256k1 } from "./select.ts";
import { loadWasm } from "./wasm.ts";

const builds = await Promise.all([loadNative(), loadWasm()]);
const [native, wasm] = builds;
const N = noble.Point.Fn.ORDER;
const P = noble.Point.Fp.ORDER;
const word = (value: bigint): Uint8Array => fromHex(value.toString(16).padStart(64, "0"));
const concat = (...parts: Uint8Array[]): Uint8Array => Uint8Array.from(Buffer.concat(parts));
const digest = sha256(utf8("karat"));
const key = sha256(utf8("a private key"));
const publicKey = native.publicKeyOf(key);
const good = native.sign(digest, key);
const [r, s] = [good.subarray(0, 32), BigInt(`0x${toHex(good.subarray(32))}`)];

describe.each(builds.map((build): [string, Secp256k1] => [build.name, build]))("%s", (_, build) => {
  const verify = (signature: Uint8Array, by = publicKey, over = digest) => verifyWith(build, over, signature, by);

  test("signs as RFC 6979 says, byte for byte as noble does, and verifies it", () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 32, maxLength: 32 }), fc.bigInt({ min: 1n, max: N - 1n }), (over, d) => {
        const signature = build.sign(over, word(d));
        expect(toHex(signature)).toBe(toHex(noble.sign(over, word(d), { prehash: false })));
        expect(toHex(build.publicKeyOf(word(d)))).toBe(toHex(noble.getPublicKey(word(d), true)));
        expect(verify(signature, build.publicKeyOf(word(d)), over)).toBe(true);
      }),
      { numRuns: 20 },
    );
  });

  test.each<[string, Uint8Array]>([
    ["the high-S twin", concat(r, word(N - s))],
    ["r = 0", concat(word(0n), word(s))],
    ["s = 0", concat(r, word(0n))],
    ["both zero", new Uint8Array(64)],
    ["r = n", concat(word(N), word(s))],
    ["s = n", concat(r, word(N))],
    ["s + n, where it fits", concat(r, word((s + N) % (1n << 256n)))],
    ["r = p", concat(word(P), word(s))],
    ["all ones", new Uint8Array(64).fill(0xff)],
    ["r and s exchanged", concat(word(s), r)],
    ["63 bytes", good.subarray(0, 63)],
    ["65 bytes", concat(good, Uint8Array.of(0))],
    ["nothing", new Uint8Array()],
    ["DER", noble.Signature.fromBytes(good).toBytes("der")],
  ])("refuses a signature: %s", (_name, signature) => {
    expect(verify(good)).toBe(true);
    expect(verify(signature)).toBe(false);
  });

  test.each<[string, Uint8Array]>([
    ["prefix 0", concat(Uint8Array.of(0), publicKey.subarray(1))],
    ["prefix 4 in 33 bytes", concat(Uint8Array.of(4), publicKey.subarray(1))],
    ["the other root", concat(Uint8Array.of(publicKey[0]! ^ 1), publicKey.subarray(1))],
    ["x of no point", concat(Uint8Array.of(2), word(5n))],
    ["x = p", concat(Uint8Array.of(2), word(P))],
    ["x = p + 1, which is 1 again", concat(Uint8Array.of(2), word(P + 1n))],
    ["zeros", new Uint8Array(33)],
    ["uncompressed", noble.getPublicKey(key, false)],
    ["hybrid", concat(Uint8Array.of(6), noble.getPublicKey(key, false).subarray(1))],
    ["32 bytes", publicKey.subarray(1)],
  ])("refuses a key: %s", (_name, by) => {
    expect(verify(good, by)).toBe(false);
  });

  test("knows scalars and points", () => {
    for (const [value, is] of [
      [0n, false],
      [1n, true],
      [N - 1n, true],
      [N, false],
      [N + 1n, false],
    ] as const) {
      expect(build.isPrivateKey(word(value))).toBe(is);
      if (!is) expect(() => build.sign(digest, word(value))).toThrow();
      if (!is) expect(() => build.publicKeyOf(word(value))).toThrow();
    }
    expect(build.isPublicKey(publicKey)).toBe(true);
    expect(build.isPublicKey(concat(Uint8Array.of(2), word(5n)))).toBe(false);
    expect(build.isPublicKey(new Uint8Array(33))).toBe(false);
  });

  test("another digest, digests beyond n, and the zero digest are digests like any other", () => {
    expect(verify(good, publicKey, sha256(utf8("other")))).toBe(false);
    for (const over of [word(0n), word(N), word((1n << 256n) - 1n)]) {
      const signature = build.sign(over, key);
      expect(noble.verify(signature, over, publicKey, { prehash: false })).toBe(true);
      expect(verify(signature, publicKey, over)).toBe(true);
    }
    expect(verify(good, publicKey, digest.subarray(1))).toBe(false);
  });
});

test("both builds say the same of whatever is changed in a good signature, digest or key", () => {
  const whole = concat(digest, good, publicKey);
  const verdict = (build: Secp256k1, all: Uint8Array) =>
    verifyWith(build, all.subarray(0, 32), all.subarray(32, 96), all.subarray(96));
  let accepted = 0;
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.integer({ min: 0, max: whole.length - 1 }), fc.integer({ min: 0, max: 255 })), {
        maxLength: 3,
      }),
      (changes) => {
        const changed = Uint8Array.from(whole);
        for (const [at, value] of changes) changed[at] = value;
        const same = Buffer.compare(changed, whole) === 0;
        expect(verdict(native, changed)).toBe(same);
        expect(verdict(wasm, changed)).toBe(same);
        if (same) accepted++;
      },
    ),
    { numRuns: 1_000 },
  );
  expect(accepted).toBeGreaterThan(0);
});

test("both builds say the same of random bytes in the places of keys and signatures", () => {
  for (let i = 0; i < 500; i++) {
    const signature = Uint8Array.from(randomBytes(64));
    const by = concat(Uint8Array.of(2 + (i % 3)), Uint8Array.from(randomBytes(32)));
    expect(wasm.isPublicKey(by)).toBe(native.isPublicKey(by));
    expect(verifyWith(wasm, digest, signature, by)).toBe(verifyWith(native, digest, signature, by));
  }
});

describe("the choice", () => {
  const broken = () => Promise.reject(new Error("no prebuild"));

  test("is by name, and a build that was asked for is never replaced", async () => {
    expect((await selectSecp256k1("native")).name).toBe("native");
    expect((await selectSecp256k1("wasm")).name).toBe("wasm");
    await expect(selectSecp256k1("native", broken)).rejects.toThrow("no prebuild");
    await expect(selectSecp256k1("noble")).rejects.toSatisfy((error) => isKaratError(error, "bad_secp256k1"));
  });

  test("falls back to WebAssembly and says so", async () => {
    const warn = vi.spyOn(process, "emitWarning").mockReturnValue();
    expect((await selectSecp256k1("", broken)).name).toBe("wasm");
    expect(warn).toHaveBeenCalledWith(expect.stringContaining("no prebuild"), "KaratSecp256k1");
    warn.mockClear();
    expect((await selectSecp256k1("")).name).toBe("native");
    expect(warn).not.toHaveBeenCalled();
    warn.mockRestore();
  });
});
