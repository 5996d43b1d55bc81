import { deposit } from "@karat/proto";
import fc from "fast-check";
import { beforeEach, describe, expect, test } from "vitest";
import { SDK } from "../../app/errors.ts";
import { createParamsModule, LOCALNET_PARAMS } from "../params/index.ts";
import { memoryBank } from "../testing/bank.ts";
import { errorOf, TestChain } from "../testing/context.ts";
import { keyNamed } from "../testing/identities.ts";
import { createDepositModule, DEPOSIT_ERRORS } from "./index.ts";
import { ACCOUNT } from "./keys.ts";

const url = (name: string) => `/karat.deposit.v1.Msg${name}`;
const [client, other, payee] = ["client", "other", "payee"].map((name) => keyNamed(name).address) as [
  string,
  string,
  string,
];
const { refundLock } = LOCALNET_PARAMS;

function setup() {
  const chain = new TestChain();
  const params = createParamsModule();
  params.set(chain.ctx, LOCALNET_PARAMS);
  memoryBank.mint(chain.ctx, client, 1_000n);
  memoryBank.mint(chain.ctx, other, 1_000n);
  return { chain, module: createDepositModule({ bank: memoryBank, params }) };
}

let { chain, module } = setup();
beforeEach(() => {
  ({ chain, module } = setup());
});

const send = (name: string, message: object) => chain.refusal(module, url(name), message);
const stored = () => module.get(chain.ctx, client);

describe("messages", () => {
  test("anyone pays in for a client; an empty client means the sender", () => {
    expect(send("Deposit", { sender: client, client: "", amount: 100n })).toBeUndefined();
    expect(send("Deposit", { sender: other, client, amount: 50n })).toBeUndefined();
    expect(stored()).toMatchObject({ available: 150n, locked: 0n });
    expect(chain.eventsOf("deposit")).toEqual([
      { client, sender: client, amount: "100" },
      { client, sender: other, amount: "50" },
    ]);
  });

  test.each([
    ["nothing", { sender: client, client: "", amount: 0n }, SDK.invalidCoins],
    ["a foreign client", { sender: client, client: "karat1x", amount: 1n }, SDK.invalidAddress],
    ["more than the sender has", { sender: client, client: "", amount: 1_001n }, SDK.insufficientFunds],
    ["more than there can be", { sender: client, client: "", amount: 0xffff_ffff_ffff_ffffn }, SDK.insufficientFunds],
  ])("paying in %s is refused", (_, message, code) => {
    expect(send("Deposit", message)).toEqual(code);
    expect(memoryBank.balance(chain.ctx, ACCOUNT)).toBe(0n);
  });

  test("a refund waits, a further request makes both wait anew, and the row goes with the last coin", () => {
    send("Deposit", { sender: client, client: "", amount: 100n });
    expect(send("Withdraw", { client })).toEqual(DEPOSIT_ERRORS.noRefund);
    expect(chain.deliver(module, url("RequestRefund"), { client, amount: 60n })).toEqual({
      refundHeight: 1n + refundLock,
    });
    expect(send("RequestRefund", { client, amount: 41n })).toEqual(DEPOSIT_ERRORS.insufficientDeposit);
    chain.height += refundLock - 1n;
    send("RequestRefund", { client, amount: 40n });
    chain.height += 1n;
    expect(send("Withdraw", { client })).toEqual(DEPOSIT_ERRORS.stillLocked);
    chain.height += refundLock;
    expect(chain.deliver(module, url("Withdraw"), { client })).toEqual({ amount: 100n });
    expect(memoryBank.balance(chain.ctx, client)).toBe(1_000n);
    expect(module.exportGenesis!(chain.ctx)).toEqual({ deposits: [] });
  });

  test("what is being refunded cannot be locked, what is locked cannot be refunded", () => {
    send("Deposit", { sender: client, client: "", amount: 100n });
    module.lock(chain.ctx, client, 70n);
    expect(send("RequestRefund", { client, amount: 31n })).toEqual(DEPOSIT_ERRORS.insufficientDeposit);
    expect(send("RequestRefund", { client, amount: 30n })).toBeUndefined();
    expect(errorOf(() => module.lock(chain.ctx, client, 1n))).toEqual(DEPOSIT_ERRORS.insufficientDeposit);
    chain.height += refundLock;
    send("Withdraw", { client });
    module.spend(chain.ctx, client, 45n, payee);
    module.unlock(chain.ctx, client, 25n);
    expect(stored()).toMatchObject({ available: 25n, locked: 0n, refunding: 0n });
    expect(memoryBank.balance(chain.ctx, payee)).toBe(45n);
    expect(module.invariants!(chain.ctx)).toEqual([]);
  });
});

test("spending or unlocking what nobody locked is no refusal but a bug", () => {
  send("Deposit", { sender: client, client: "", amount: 100n });
  expect(() => errorOf(() => module.unlock(chain.ctx, client, 1n))).toThrow();
  expect(() => errorOf(() => module.spend(chain.ctx, client, 1n, payee))).toThrow();
});

/** The obvious bookkeeping, to compare with. */
interface Model {
  available: bigint;
  locked: bigint;
  refunding: bigint;
  refundHeight: bigint;
  wallet: bigint;
}

const step = fc.record({
  who: fc.constantFrom(client, other),
  what: fc.constantFrom("deposit", "lock", "unlock", "spend", "refund", "withdraw", "wait"),
  amount: fc.bigInt({ min: 1n, max: 400n }),
});

test("no sequence of steps loses, makes or overdraws a coin", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      ({ chain, module } = setup());
      const fresh = (): Model => ({ available: 0n, locked: 0n, refunding: 0n, refundHeight: 0n, wallet: 1_000n });
      const models: Record<string, Model> = { [client]: fresh(), [other]: fresh() };
      let paid = 0n;
      for (const { who, what, amount } of steps) {
        const m = models[who]!;
        const free = m.available - m.refunding;
        switch (what) {
          case "deposit":
            expect(send("Deposit", { sender: who, client: who, amount })).toEqual(
              amount > m.wallet ? SDK.insufficientFunds : undefined,
            );
            if (amount > m.wallet) break;
            m.wallet -= amount;
            m.available += amount;
            break;
          case "lock":
            expect(errorOf(() => module.lock(chain.ctx, who, amount))).toEqual(
              amount > free ? DEPOSIT_ERRORS.insufficientDeposit : undefined,
            );
            if (amount > free) break;
            m.available -= amount;
            m.locked += amount;
            break;
          case "unlock":
            if (amount > m.locked) break;
            module.unlock(chain.ctx, who, amount);
            m.locked -= amount;
            m.available += amount;
            break;
          case "spend":
            if (amount > m.locked) break;
            module.spend(chain.ctx, who, amount, payee);
            m.locked -= amount;
            paid += amount;
            break;
          case "refund":
            expect(send("RequestRefund", { client: who, amount })).toEqual(
              amount > free ? DEPOSIT_ERRORS.insufficientDeposit : undefined,
            );
            if (amount > free) break;
            m.refunding += amount;
            m.refundHeight = chain.height + refundLock;
            break;
          case "withdraw": {
            const early = m.refunding === 0n ? DEPOSIT_ERRORS.noRefund : DEPOSIT_ERRORS.stillLocked;
            const due = m.refunding > 0n && chain.height >= m.refundHeight;
            expect(send("Withdraw", { client: who })).toEqual(due ? undefined : early);
            if (!due) break;
            m.wallet += m.refunding;
            m.available -= m.refunding;
            m.refunding = 0n;
            m.refundHeight = 0n;
            break;
          }
          case "wait":
            chain.height += amount;
        }
        for (const [address, { wallet, ...rest }] of Object.entries(models)) {
          expect(module.get(chain.ctx, address)).toEqual({ client: address, ...rest });
          expect(memoryBank.balance(chain.ctx, address)).toBe(wallet);
        }
        expect(memoryBank.balance(chain.ctx, payee)).toBe(paid);
        expect(memoryBank.sum(chain.ctx)).toBe(2_000n);
        expect(module.invariants!(chain.ctx)).toEqual([]);
      }
    }),
  );
});

describe("genesis", () => {
  test("mints what clients have and survives an export with open inferences", () => {
    module.initGenesis!(chain.ctx, { deposits: [{ client, available: "500" }] });
    expect(memoryBank.balance(chain.ctx, ACCOUNT)).toBe(500n);
    module.lock(chain.ctx, client, 200n);
    const exported = JSON.parse(JSON.stringify(module.exportGenesis!(chain.ctx)));
    ({ chain, module } = setup());
    module.initGenesis!(chain.ctx, exported);
    expect(stored()).toMatchObject({ available: 500n, locked: 0n });
    expect(module.invariants!(chain.ctx)).toEqual([]);
  });

  test.each([
    [
      "the same client twice",
      [
        { client, available: "1" },
        { client, available: "1" },
      ],
    ],
    ["nothing", [{ client, available: "0" }]],
    ["a lock of no inference", [{ client, available: "1", locked: "1" }]],
    ["a refund of more than there is", [{ client, available: "1", refunding: "2" }]],
    ["an address of another chain", [{ client: "cosmos1x", available: "1" }]],
  ])("%s is refused", (_, deposits) => {
    expect(errorOf(() => module.initGenesis!(chain.ctx, { deposits }))).toEqual(SDK.invalidGenesis);
  });
});

test("an unknown client has an empty deposit", () => {
  const ask = (address: string) =>
    deposit.QueryDepositResponse.decode(
      module.queries!["/karat.deposit.v1.Query/Deposit"]!(
        chain.ctx,
        deposit.QueryDepositRequest.encode({ client: address }).finish(),
      ),
    ).deposit;
  expect(ask(client)).toMatchObject({ client, available: 0n });
  expect(errorOf(() => ask("nobody"))).toEqual(SDK.invalidAddress);
});
