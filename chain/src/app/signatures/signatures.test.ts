import { publicKeyOf, sha256, signDigest, silentLogger, utf8 } from "@karat/common";
import type { RequestFinalizeBlock, ResponseFinalizeBlock } from "cosmjs-types/tendermint/abci/types";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { LOCALNET_PARAMS } from "../../modules/params/index.ts";
import { DEPOSITED, Players } from "../../modules/testing/players.ts";
import { AppHarness } from "../testing/index.ts";
import { type PoolOptions, type SignatureCheck, SignaturePool, SignaturesAhead, verifyOnce } from "./index.ts";
import { nameOf, packCheck, VerifiedSignatures, verifiedSignatures } from "./verified.ts";

const pools: SignaturePool[] = [];
function newPool(options: Partial<PoolOptions> = {}): SignaturePool {
  const pool = new SignaturePool({ log: silentLogger, threads: 2, ...options });
  pools.push(pool);
  return pool;
}
beforeEach(() => verifiedSignatures.clear());
afterEach(async () => {
  for (const pool of pools.splice(0)) await pool.close();
});

const key = sha256(utf8("key"));
const check = (i: number): SignatureCheck => {
  const digest = sha256(utf8(`message ${i}`));
  return { digest, signature: signDigest(digest, key), publicKey: publicKeyOf(key) };
};
const checks = (count: number) => Array.from({ length: count }, (_, i) => check(i));
const isKnown = (of: SignatureCheck) => verifiedSignatures.has(nameOf(packCheck(of)!));
const spoilt = (of: SignatureCheck): SignatureCheck => ({ ...of, digest: sha256(of.digest) });

describe("what is remembered", () => {
  test("is good signatures only, and every part of them counts", () => {
    const { digest, signature, publicKey } = check(1);
    expect(verifyOnce(digest, signature, publicKey)).toBe(true);
    expect(verifiedSignatures.size).toBe(1);
    expect(verifyOnce(digest, signature, publicKey)).toBe(true);
    expect(verifyOnce(sha256(digest), signature, publicKey)).toBe(false);
    expect(verifyOnce(digest, check(2).signature, publicKey)).toBe(false);
    expect(verifyOnce(digest, signature, publicKeyOf(sha256(key)))).toBe(false);
    expect(verifyOnce(digest, signature.subarray(1), publicKey)).toBe(false);
    expect(verifiedSignatures.size).toBe(1);
  });

  test("is bounded, and the newer half stays", () => {
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 40 }), fc.integer({ min: 0, max: 200 }), (capacity, count) => {
        const set = new VerifiedSignatures(capacity);
        for (let i = 0; i < count; i++) {
          set.add(String(i));
          expect(set.size).toBeLessThanOrEqual(capacity);
          for (let back = 0; back < Math.floor(capacity / 2) && back <= i; back++) {
            expect(set.has(String(i - back))).toBe(true);
          }
        }
      }),
    );
  });
});

describe("the threads", () => {
  test("tell good from bad, each asked once", async () => {
    const pool = newPool();
    const good = checks(150);
    const bad = good.map(spoilt);
    const mixed = good.flatMap((each, i) => [each, bad[i]!, each]);
    await Promise.all([pool.submit(mixed), pool.submit(mixed)]);
    expect(good.every(isKnown)).toBe(true);
    expect(bad.some(isKnown)).toBe(false);
    expect(verifiedSignatures.size).toBe(150);
    expect(pool.pending).toBe(0);
  });

  test("and this one together settle what is asked, with none of them too", async () => {
    for (const threads of [0, 1, 2]) {
      verifiedSignatures.clear();
      await newPool({ threads }).settle(checks(300));
      // Without threads nothing is known, and whoever needs it verifies it.
      expect(verifiedSignatures.size).toBe(threads === 0 ? 0 : 300);
    }
  });

  test("take no more than their bound", async () => {
    const pool = newPool({ maxPending: 70 });
    const done = pool.submit(checks(200));
    expect(pool.pending).toBeLessThanOrEqual(70);
    await done;
    expect(verifiedSignatures.size).toBe(70);
  });

  test("that end give up what they had and leave it to the block", async () => {
    const script = new URL(
      'data:text/javascript,import{parentPort}from"node:worker_threads";parentPort.on("message",()=>process.exit(3))',
    );
    await newPool({ script }).submit(checks(200));
    expect(verifiedSignatures.size).toBe(0);
    const closed = newPool();
    const given = closed.submit(checks(200));
    await closed.close();
    await given;
    await closed.submit(checks(200));
    expect(closed.pending).toBe(0);
  });
});

describe("the application with its signatures ahead", () => {
  /** The blocks of a chain that serves, as the engine asked for them, and what the application alone answered. */
  function recorded(): { requests: RequestFinalizeBlock[]; responses: ResponseFinalizeBlock[] } {
    const players = new Players(4);
    const { app } = players.harness;
    const requests: RequestFinalizeBlock[] = [];
    const responses: ResponseFinalizeBlock[] = [];
    const finalize = app.finalizeBlock.bind(app);
    app.finalizeBlock = (request) => {
      const response = finalize(request);
      requests.push(request);
      responses.push(response);
      return response;
    };
    players.blocks(2);
    for (let i = 0; i < 3; i++) players.serve();
    return { requests, responses };
  }
  const replaying = () =>
    new AppHarness({ participants: 4, clients: 1, clientDeposit: DEPOSITED, params: LOCALNET_PARAMS }).app;

  test("answers as it does alone; what CheckTx accepted is known before its block", async () => {
    const { requests, responses } = recorded();
    verifiedSignatures.clear();
    const app = replaying();
    const pool = newPool();
    const ahead = new SignaturesAhead(app, pool);
    let asked = 0;
    for (const [i, request] of requests.entries()) {
      for (const tx of request.txs) expect(ahead.checkTx({ tx, type: 0 }).code).toBe(0);
      await pool.idle();
      const all = [...app.signatureChecks(request.txs)];
      expect(all.every(isKnown)).toBe(true);
      asked += all.length;
      const before = verifiedSignatures.size;
      expect(await ahead.finalizeBlock(request)).toEqual(responses[i]);
      // Nothing is left for the block itself.
      expect(verifiedSignatures.size).toBe(before);
      ahead.commit();
    }
    // Of each inference: three transactions and the client's order.
    expect(asked).toBe(12);
  });

  test("verifies a block that it has never seen before it executes it", async () => {
    const { requests, responses } = recorded();
    verifiedSignatures.clear();
    const ahead = new SignaturesAhead(replaying(), newPool());
    for (const [i, request] of requests.entries()) {
      expect(await ahead.finalizeBlock(request)).toEqual(responses[i]);
      ahead.commit();
    }
    expect(verifiedSignatures.size).toBe(12);
  });

  test("takes no signatures from what CheckTx refuses", async () => {
    const { requests } = recorded();
    verifiedSignatures.clear();
    const pool = newPool();
    const ahead = new SignaturesAhead(replaying(), pool);
    // Later sequences than the fresh chain waits for.
    const { txs } = requests.at(-1)!;
    expect(ahead.checkTx({ tx: txs[0]!, type: 0 }).code).not.toBe(0);
    expect(pool.pending).toBe(0);
    expect(ahead.checkTx({ tx: Uint8Array.of(1, 2, 3), type: 0 }).code).not.toBe(0);
  });
});
