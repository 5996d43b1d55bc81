import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isKaratError, silentLogger, utf8 } from "@karat/common";
import { ConsensusParams } from "cosmjs-types/tendermint/types/params";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { LmdbCommitStore, MemoryCommitStore } from "../store/index.ts";
import { Value } from "../store/value.ts";
import { type Composition, createKaratApp, STORES } from "./compose.ts";
import { isChainError, SDK } from "./errors.ts";
import type { Module } from "./module.ts";
import {
  AppHarness,
  coreComposition,
  type HarnessOptions,
  type Signer,
  sendMessage,
  signerOf,
} from "./testing/index.ts";

const core = (options: HarnessOptions = {}) =>
  new AppHarness({ clients: 3, composition: coreComposition(), ...options });
const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");

function codeOf(run: () => unknown): string | undefined {
  try {
    run();
    return undefined;
  } catch (error) {
    if (isKaratError(error)) return error.code;
    return isChainError(error) ? `${error.codespace}/${error.code}` : `unexpected: ${error}`;
  }
}

function withModule(module: Module): Composition {
  const composition = coreComposition();
  return { ...composition, modules: [...composition.modules, module] };
}

describe("genesis", () => {
  const request = (state: unknown) => ({
    chainId: "karat-test",
    time: { seconds: 1n, nanos: 0 },
    consensusParams: ConsensusParams.fromPartial({}),
    validators: [],
    appStateBytes: utf8(typeof state === "string" ? state : JSON.stringify(state)),
    initialHeight: 1n,
  });
  const open = (chainId?: string) =>
    createKaratApp({
      store: new MemoryCommitStore(STORES),
      log: silentLogger,
      composition: coreComposition(),
      ...(chainId !== undefined && { chainId }),
    });
  const invalid = `sdk/${SDK.invalidGenesis.code}`;
  const { address } = signerOf("someone");
  const balance = { address, coins: [{ denom: "ukarat", amount: "5" }] };

  test.each([
    ["no JSON", "{"],
    ["a list", []],
    ["a part that nobody owns", { nobody: {} }],
    ["a balance twice", { bank: { balances: [balance, balance] } }],
    ["a balance of nobody", { bank: { balances: [{ ...balance, address: "x" }] } }],
    ["a balance in another coin", { bank: { balances: [{ ...balance, coins: [{ denom: "uatom", amount: "1" }] }] } }],
    ["an account twice", { auth: { accounts: [{ address }, { address }] } }],
    ["another account's key", { auth: { accounts: [{ address, publicKey: Buffer.alloc(33).toString("base64") }] } }],
  ])("with %s is refused", (_, state) => {
    expect(codeOf(() => open().initChain(request(state)))).toBe(invalid);
  });

  test("of another chain is refused", () => {
    expect(codeOf(() => open("karat-other").initChain(request({})))).toBe("wrong_chain");
  });

  test("gives an app hash that CosmJS can show at height 1", () => {
    expect(open().initChain(request({})).appHash.length).toBe(32);
  });

  test("comes again from an export", () => {
    const harness = core();
    harness.execute(harness.rich, sendMessage(harness.rich, signerOf("new"), 5n));
    const state = harness.app.exportGenesis();
    const again = open();
    again.initChain(request(state));
    expect(again.invariants()).toEqual([]);
    expect(again.exportGenesis()).toEqual(state);
  });
});

describe("a block", () => {
  test("may be finalised again before it is committed, with the same result", () => {
    const harness = core();
    const [from, to] = harness.clients as [Signer, Signer];
    const before = harness.store.appHash();
    const request = harness.finalizeRequest([harness.tx(from, sendMessage(from, to, 5n))]);
    const first = harness.app.finalizeBlock(request);
    expect(harness.app.finalizeBlock(harness.finalizeRequest()).appHash).not.toEqual(first.appHash);
    expect(harness.app.finalizeBlock(request)).toEqual(first);
    expect(harness.app.info().lastBlockAppHash).toEqual(before);
    expect(harness.account(from.address)?.sequence).toBe(0n);
    harness.app.commit();
    expect(harness.app.info()).toMatchObject({ lastBlockHeight: 2n, lastBlockAppHash: first.appHash });
  });

  test("that does not follow is refused", () => {
    const harness = core();
    expect(codeOf(() => harness.app.finalizeBlock({ ...harness.finalizeRequest(), height: 4n }))).toBe(
      "unexpected_height",
    );
    expect(codeOf(() => harness.app.commit())).toBe("nothing_finalised");
  });

  test("stops the node where a module fails unexpectedly, and the state stays as it was", () => {
    const faulty: Module = {
      name: "params",
      endBlock(ctx) {
        ctx.store("params").put("k", Value.encoded(utf8("v")));
        if (ctx.height === 2n) throw new TypeError("a bug");
        return undefined;
      },
    };
    const harness = core({ composition: withModule(faulty) });
    const before = harness.store.appHash();
    expect(() => harness.deliver()).toThrow(TypeError);
    expect(harness.store.appHash()).toEqual(before);
    expect(harness.store.height()).toBe(1n);
  });

  test("stops the node where an invariant breaks", () => {
    const thief: Module = {
      name: "params",
      endBlock(ctx) {
        if (ctx.height === 2n) ctx.store("bank").put("\x02", undefined);
        return undefined;
      },
    };
    expect(codeOf(() => core({ composition: withModule(thief) }).deliver())).toBe("invariant_broken");
  });

  test("must not update a validator twice", () => {
    const update = { publicKey: new Uint8Array(32), power: 1n };
    const twice: Module = { name: "params", endBlock: ({ height }) => (height > 1n ? [update, update] : []) };
    expect(codeOf(() => core({ composition: withModule(twice) }).deliver())).toBe("validator_twice");
  });
});

test("a node that starts again goes on where it was", () => {
  const path = mkdtempSync(join(tmpdir(), "karat-app-"));
  try {
    const reference = core();
    let store = LmdbCommitStore.open({ path, ...STORES });
    let harness = core({ store });
    const step = (amount: bigint) => {
      const [from, to] = reference.clients as [Signer, Signer];
      const make = (one: AppHarness) => one.tx(from, sendMessage(from, to, amount));
      expect(hex(harness.deliver([make(harness)]).appHash)).toBe(hex(reference.deliver([make(reference)]).appHash));
    };
    step(1n);
    // Finalised and not committed: gone with the process.
    harness.app.finalizeBlock(harness.finalizeRequest());
    store.close();
    store = LmdbCommitStore.open({ path, ...STORES });
    harness = core({ store });
    expect(harness.height).toBe(2n);
    expect(harness.app.chainId).toBe("karat-test");
    step(2n);
    expect(harness.app.invariants()).toEqual([]);
    const options = { store, log: silentLogger, composition: coreComposition(), chainId: "karat-other" };
    expect(codeOf(() => createKaratApp(options))).toBe("wrong_chain");
    store.close();
  } finally {
    rmSync(path, { recursive: true });
  }
});

test("two replicas agree on every app hash, and no coin appears or vanishes", () => {
  const transfer = fc.record({
    from: fc.nat(2),
    to: fc.nat(3),
    amount: fc.bigInt({ min: 0n, max: 2_000_000_000n }),
    gasLimit: fc.bigInt({ min: 1_000n, max: 20_000n }),
    fee: fc.bigInt({ min: 0n, max: 2_000n }),
    skip: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(fc.array(transfer, { maxLength: 6 }), { maxLength: 6 }), (blocks) => {
      const a = core();
      const b = core();
      for (const block of blocks) {
        const txs = block.map(({ from, to, amount, gasLimit, fee, skip }) => {
          const sender = a.clients[from]!;
          const receiver = a.clients[to] ?? signerOf(`new ${amount}`);
          return a.tx(sender, sendMessage(sender, receiver, amount), { gasLimit, fee, ...(skip && { sequence: 99n }) });
        });
        // The second one has seen nothing of them before; the first has checked them and prepared another block.
        for (const tx of txs) a.app.checkTx({ tx, type: 0 });
        a.app.finalizeBlock(a.finalizeRequest(txs.slice(1)));
        const [left, right] = [a.deliver(txs), b.deliver(txs)];
        expect(hex(left.appHash)).toBe(hex(right.appHash));
        expect(left.results).toEqual(right.results);
      }
      expect(a.app.invariants()).toEqual([]);
    }),
    { numRuns: 30 },
  );
});
