import { DENOM, moduleAddress } from "@karat/common";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type ErrorKind, isChainError, SDK } from "../../app/errors.ts";
import { AppHarness, coreComposition, signerOf } from "../../app/testing/index.ts";
import { U64_MAX } from "../../numeric/checked.ts";
import { createAuthModule } from "../auth/index.ts";
import { TestChain } from "../testing/context.ts";
import { createBankModule } from "./index.ts";
import { MAX_OUTPUTS } from "./msgs/multiSend.ts";
import { ukaratOf } from "./transition.ts";

function kindOf(run: () => unknown): ErrorKind | undefined {
  try {
    run();
    return undefined;
  } catch (error) {
    if (!isChainError(error)) throw error;
    return { codespace: error.codespace, code: error.code };
  }
}

describe("a list of coins", () => {
  const coin = (amount: string, denom: string = DENOM) => ({ amount, denom });

  test.each<[string, { amount: string; denom: string }[], ErrorKind]>([
    ["empty", [], SDK.invalidCoins],
    ["of nothing", [coin("0")], SDK.invalidCoins],
    ["negative", [coin("-1")], SDK.invalidCoins],
    ["with a leading zero", [coin("01")], SDK.invalidCoins],
    ["with a fraction", [coin("1.5")], SDK.invalidCoins],
    ["beyond 64 bits", [coin((U64_MAX + 1n).toString())], SDK.invalidCoins],
    ["with a denom twice", [coin("1"), coin("1")], SDK.invalidCoins],
    ["out of order", [coin("1"), coin("1", "uatom")], SDK.invalidCoins],
    ["with a malformed denom", [coin("1", "u k")], SDK.invalidCoins],
    ["of a denom nobody has", [coin("1", "uatom")], SDK.insufficientFunds],
  ])("that is %s is refused", (_, coins, expected) => {
    expect(kindOf(() => ukaratOf(coins))).toEqual(expected);
  });

  test("of our own is its amount, up to the last bit", () => {
    expect(ukaratOf([coin(U64_MAX.toString())])).toBe(U64_MAX);
  });
});

test("whatever is sent, minted and burnt, balances sum up to the supply and nothing is overdrawn", () => {
  const names = ["a", "b", "c"].map((name) => signerOf(`bank ${name}`).address);
  const amount = fc.bigInt({ min: 0n, max: 1_000n });
  const step = fc.record({
    kind: fc.constantFrom("send", "mint", "burn"),
    from: fc.constantFrom(...names),
    to: fc.constantFrom(...names),
    amount,
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const chain = new TestChain();
      const bank = createBankModule({ accounts: createAuthModule({ moduleAccounts: [] }), blocked: new Set() });
      const model = new Map(names.map((name) => [name, 0n]));
      const add = (name: string, change: bigint) => model.set(name, model.get(name)! + change);
      for (const { kind, from, to, amount } of steps) {
        const covered = model.get(from)! >= amount;
        const refused = kindOf(() =>
          chain.transaction((ctx) => {
            if (kind === "send") bank.send(ctx, from, to, amount);
            else if (kind === "mint") bank.mint(ctx, to, amount);
            else bank.burn(ctx, from, amount);
          }),
        );
        expect(refused).toEqual(kind === "mint" || covered ? undefined : { ...SDK.insufficientFunds });
        if (refused !== undefined) continue;
        if (kind !== "mint") add(from, -amount);
        if (kind !== "burn") add(to, amount);
      }
      for (const name of names) expect(bank.balance(chain.ctx, name)).toBe(model.get(name));
      expect(bank.supply(chain.ctx)).toBe([...model.values()].reduce((sum, each) => sum + each, 0n));
      expect(bank.invariants!(chain.ctx)).toEqual([]);
    }),
  );
});

describe("MsgMultiSend", () => {
  const harness = new AppHarness({ clients: 2, composition: coreComposition() });
  const [from] = harness.clients as [ReturnType<typeof signerOf>];
  const coins = (amount: bigint) => [{ denom: DENOM, amount: amount.toString() }];
  const send = (inputs: [string, bigint][], outputs: [string, bigint][]) => {
    const list = (entries: [string, bigint][]) =>
      entries.map(([address, amount]) => ({ address, coins: coins(amount) }));
    const value = { inputs: list(inputs), outputs: list(outputs) };
    const tx = harness.tx(from, { typeUrl: "/cosmos.bank.v1beta1.MsgMultiSend", value });
    const { code, codespace } = harness.deliver([tx]).results[0]!;
    return { code, codespace };
  };
  const [x, y] = [signerOf("x").address, signerOf("y").address];

  test("pays several accounts out of one", () => {
    expect(
      send(
        [[from.address, 5n]],
        [
          [x, 2n],
          [y, 3n],
        ],
      ),
    ).toMatchObject({ code: 0 });
    expect(harness.account(y)).toBeDefined();
  });

  test("refuses what does not add up, several inputs, too many outputs, and accounts of modules", () => {
    expect(send([[from.address, 5n]], [[x, 2n]])).toEqual(SDK.invalidCoins);
    expect(
      send(
        [
          [from.address, 1n],
          [from.address, 1n],
        ],
        [[x, 2n]],
      ),
    ).toEqual(SDK.invalidRequest);
    expect(send([[from.address, 5n]], [])).toEqual(SDK.invalidRequest);
    const many = Array.from({ length: MAX_OUTPUTS + 1 }, (): [string, bigint] => [x, 1n]);
    expect(send([[from.address, BigInt(many.length)]], many)).toEqual(SDK.invalidRequest);
    expect(
      send(
        [[from.address, 3n]],
        [
          [x, 1n],
          [moduleAddress("reward"), 2n],
        ],
      ),
    ).toEqual(SDK.unauthorized);
    expect(harness.app.invariants()).toEqual([]);
  });
});
