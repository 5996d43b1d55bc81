import { reward } from "@karat/proto";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { SDK } from "../../app/errors.ts";
import { LOCALNET_PARAMS } from "../params/index.ts";
import { errorOf, TestChain } from "../testing/context.ts";
import { TestEconomy } from "../testing/economy.ts";
import { keyNamed, registrationOf } from "../testing/identities.ts";
import { createRewardModule, REWARD_ERRORS } from "./index.ts";
import { ACCOUNT, COMMUNITY } from "./keys.ts";

const CLAIM = "/karat.reward.v1.MsgClaimRewards";
const four = ["ann", "bob", "cid", "dan"];
const addressOf = (name: string) => keyNamed(name).address;
const EMISSION = LOCALNET_PARAMS.epochEmission;

const claim = (net: TestEconomy, sender: string, epoch: bigint) =>
  net.chain.refusal(net.rewards, CLAIM, { sender, epoch });
const balance = (net: TestEconomy, address: string) => net.bank.balance(net.chain.ctx, address);
/** What the client of a settled inference paid lies in the account already. */
function distribute(
  net: TestEconomy,
  amount: bigint,
  epoch: bigint,
  transferAgent: string | undefined = addressOf("bob"),
) {
  net.bank.mint(net.chain.ctx, ACCOUNT, amount);
  net.rewards.distribute(net.chain.ctx, epoch, [{ executor: addressOf("ann"), transferAgent, amount }]);
}

describe("fees of a settled inference", () => {
  test("go to executor, transfer agent, the epoch's pool and the community", () => {
    const net = new TestEconomy(four);
    net.block(() => distribute(net, 1_000n, 0n));
    expect(["ann", "bob"].map((name) => balance(net, addressOf(name)))).toEqual([900n, 40n]);
    expect(balance(net, ACCOUNT)).toBe(50n);
    expect(balance(net, COMMUNITY)).toBe(10n);
    expect(net.rewards.get(net.chain.ctx, 0n, addressOf("ann"))?.workFees).toBe(900n);
  });

  test("without a delivery the transfer agent's part is the community's", () => {
    const net = new TestEconomy(four);
    net.block(() => {
      net.bank.mint(net.chain.ctx, ACCOUNT, 1_000n);
      net.rewards.distribute(net.chain.ctx, 0n, [
        { executor: addressOf("ann"), transferAgent: undefined, amount: 1_000n },
      ]);
    });
    expect(balance(net, COMMUNITY)).toBe(50n);
  });

  test("of many at once are what they are one by one, rounding included", () => {
    const names = fc.constantFrom(...four);
    const payment = fc.record({
      executor: names.map(addressOf),
      transferAgent: fc.option(names.map(addressOf), { nil: undefined }),
      amount: fc.bigInt({ min: 1n, max: 1_000_000n }),
    });
    fc.assert(
      fc.property(fc.array(payment, { maxLength: 20 }), (payments) => {
        const [together, apart] = [new TestEconomy(four), new TestEconomy(four)];
        for (const net of [together, apart]) {
          for (const { amount } of payments) net.bank.mint(net.chain.ctx, ACCOUNT, amount);
        }
        together.block(() => together.rewards.distribute(together.chain.ctx, 0n, payments));
        apart.block(() => {
          for (const each of payments) apart.rewards.distribute(apart.chain.ctx, 0n, [each]);
        });
        const accounts = [ACCOUNT, COMMUNITY, ...four.map(addressOf)];
        const [held, expected] = [together, apart].map((net) => accounts.map((account) => balance(net, account)));
        expect(held).toEqual(expected);
        const rows = [together, apart].map((net) =>
          four.map((name) => net.rewards.get(net.chain.ctx, 0n, addressOf(name))?.workFees),
        );
        expect(rows[0]).toEqual(rows[1]);
      }),
      { numRuns: 30 },
    );
  });

  test("are shared by duties answered; what is late counts for the first epoch that is not settled", () => {
    const net = new TestEconomy(four);
    net.block(() => {
      distribute(net, 20_000n, 0n);
      for (const name of ["cid", "cid", "cid", "dan"]) net.rewards.duty(net.chain.ctx, addressOf(name), 0n);
    });
    net.untilEpoch(2n);
    expect(net.rewards.get(net.chain.ctx, 0n, addressOf("cid"))?.dutyFees).toBe(750n);
    expect(net.rewards.get(net.chain.ctx, 0n, addressOf("dan"))?.dutyFees).toBe(250n);
    net.block(() => {
      distribute(net, 20_000n, 0n);
      net.rewards.duty(net.chain.ctx, addressOf("dan"), 0n);
    });
    expect(net.rewards.get(net.chain.ctx, 1n, addressOf("dan"))?.duties).toBe(1n);
    net.untilEpoch(3n);
    expect(net.rewards.get(net.chain.ctx, 1n, addressOf("dan"))?.dutyFees).toBe(1_000n);
  });
});

describe("emission", () => {
  test("comes one epoch late, by weight and service, and the rest is the community's", () => {
    const net = new TestEconomy(four);
    net.block(() => {
      net.rewards.assigned(net.chain.ctx, addressOf("ann"), 0n, 1n);
      net.rewards.missed(net.chain.ctx, addressOf("ann"), 0n);
    });
    net.untilEpoch(1n);
    expect(balance(net, ACCOUNT)).toBe(0n);
    net.untilEpoch(2n);
    const rewardOf = (name: string) => net.rewards.get(net.chain.ctx, 0n, addressOf(name))?.emission;
    expect(four.map(rewardOf)).toEqual([EMISSION / 8n, EMISSION / 4n, EMISSION / 4n, EMISSION / 4n]);
    expect(balance(net, COMMUNITY)).toBe(EMISSION / 8n);
    expect(net.epochs.byNumber(net.chain.ctx, 0n)?.settled).toBe(true);
    expect(net.epochs.byNumber(net.chain.ctx, 1n)?.settled).toBe(false);
    expect(net.chain.eventsOf("rewards_settled")).toEqual([
      { epoch: "0", emission: EMISSION.toString(), duty_pool: "0", community: (EMISSION / 8n).toString() },
    ]);
  });

  test("of a convict is lost for every epoch from the inference's on, settled or not", () => {
    const net = new TestEconomy(four);
    net.untilEpoch(3n);
    const community = balance(net, COMMUNITY);
    const slashed = registrationOf("ann").collateral / 5n;
    net.block(() => net.convict("ann", 1n));
    expect(net.chain.eventsOf("rewards_forfeited")).toMatchObject([{ participant: addressOf("ann"), epoch: "1" }]);
    expect(balance(net, COMMUNITY) - community - slashed).toBeGreaterThan(EMISSION / 5n);
    net.untilEpoch(5n);
    for (const epoch of [1n, 2n, 3n]) expect(claim(net, addressOf("ann"), epoch)).toEqual(REWARD_ERRORS.nothingToClaim);
    expect(claim(net, addressOf("bob"), 2n)).toBeUndefined();
    expect(claim(net, addressOf("ann"), 0n)).toBeUndefined();
  });
});

describe("claims", () => {
  test("pay the operator, whichever of its keys asks, once", () => {
    const net = new TestEconomy(four);
    net.untilEpoch(4n);
    expect(claim(net, addressOf("ann validator"), 0n)).toBeUndefined();
    expect(claim(net, addressOf("ann node"), 1n)).toBeUndefined();
    expect(claim(net, addressOf("ann"), 2n)).toBeUndefined();
    for (const epoch of [0n, 1n, 2n]) expect(claim(net, addressOf("ann"), epoch)).toEqual(REWARD_ERRORS.alreadyClaimed);
    const earned = [0n, 1n, 2n].map((epoch) => net.rewards.get(net.chain.ctx, epoch, addressOf("ann"))!.emission);
    expect(balance(net, addressOf("ann"))).toBe(earned.reduce((sum, amount) => sum + amount));
    expect(balance(net, addressOf("ann validator"))).toBe(0n);
    net.block();
  });

  test("are refused for open epochs, strangers and bad addresses", () => {
    const net = new TestEconomy(four);
    net.untilEpoch(2n);
    expect(claim(net, addressOf("ann"), 1n)).toEqual(REWARD_ERRORS.notSettled);
    expect(claim(net, addressOf("nobody"), 0n)).toEqual(REWARD_ERRORS.nothingToClaim);
    expect(claim(net, "ann", 0n)).toEqual(SDK.invalidAddress);
  });

  test("last for the claim epochs after settlement, then the community has what is left", () => {
    const net = new TestEconomy(four, { claimEpochs: 2 });
    net.untilEpoch(3n);
    while (net.chain.height < 4n * LOCALNET_PARAMS.epochBlocks) net.block();
    net.block(() => expect(claim(net, addressOf("ann"), 0n)).toBeUndefined());
    const community = balance(net, COMMUNITY);
    net.block();
    expect(claim(net, addressOf("bob"), 0n)).toEqual(REWARD_ERRORS.nothingToClaim);
    expect(balance(net, COMMUNITY) - community).toBe((EMISSION / 4n) * 3n);
    expect(net.rewards.get(net.chain.ctx, 0n, addressOf("ann"))).toBeUndefined();
  });
});

const action = fc.record({
  who: fc.constantFrom(...four),
  what: fc.constantFrom("distribute", "assigned", "missed", "duty", "dutyMissed", "convict", "claim", "blocks"),
  epochsAgo: fc.bigInt({ min: 0n, max: 3n }),
  amount: fc.bigInt({ min: 0n, max: 1_000_000n }),
});

test("no sequence of fees, misses, convictions, claims and epochs loses or makes a coin", () => {
  fc.assert(
    fc.property(fc.array(action, { maxLength: 40 }), (actions) => {
      const net = new TestEconomy(four, { epochBlocks: 20n, maxAnchorAge: 20n, claimEpochs: 1 });
      let fees = 0n;
      for (const { who, what, epochsAgo, amount } of actions) {
        const { number } = net.epochs.current(net.chain.ctx);
        const epoch = number > epochsAgo ? number - epochsAgo : 0n;
        if (what === "blocks") for (let i = 0n; i < amount % 60n; i++) net.block();
        else {
          net.block(() => {
            if (what === "distribute") {
              distribute(net, amount, epoch, addressOf(who));
              fees += amount;
            } else if (what === "claim") claim(net, addressOf(who), epoch);
            else if (what === "convict") net.convict(who, epoch);
            else net.rewards[what](net.chain.ctx, addressOf(who), epoch, 1n);
          });
        }
      }
      // Every block checked the invariants: now the sum over the whole economy.
      const pools = reward.QueryPoolsResponse.decode(
        net.rewards.queries!["/karat.reward.v1.Query/Pools"]!(net.chain.ctx, new Uint8Array()),
      );
      const collateral = BigInt(four.length) * registrationOf("ann").collateral;
      expect(net.bank.supply(net.chain.ctx)).toBe(collateral + fees + pools.minted);
    }),
    { numRuns: 60 },
  );
});

test("queries name what can be claimed, oldest first", () => {
  const net = new TestEconomy(four);
  net.untilEpoch(4n);
  claim(net, addressOf("ann"), 1n);
  const ask = (name: string, bytes: Uint8Array) =>
    net.rewards.queries![`/karat.reward.v1.Query/${name}`]!(net.chain.ctx, bytes);
  const claimable = reward.QueryClaimableResponse.decode(
    ask("Claimable", reward.QueryClaimableRequest.encode({ participant: addressOf("ann validator") }).finish()),
  );
  expect(claimable.rewards.map(({ epoch }) => epoch)).toEqual([0n, 2n]);
  const one = (epoch: bigint) =>
    ask("EpochReward", reward.QueryEpochRewardRequest.encode({ epoch, participant: addressOf("ann") }).finish());
  expect(reward.QueryEpochRewardResponse.decode(one(1n)).reward).toMatchObject({ claimed: true, weight: 100n });
  expect(errorOf(() => one(9n))).toEqual(SDK.notFound);
});

test("an export mints the same pools and rewards elsewhere", () => {
  const net = new TestEconomy(four);
  net.block(() => distribute(net, 1_000n, 0n));
  net.untilEpoch(3n);
  net.block(() => distribute(net, 1_000n, 2n));
  const exported = JSON.parse(JSON.stringify(net.rewards.exportGenesis!(net.chain.ctx)));
  const chain = new TestChain({ height: net.chain.height });
  const module = createRewardModule(net);
  module.initGenesis!(chain.ctx, exported);
  expect(module.exportGenesis!(chain.ctx)).toEqual(exported);
  expect(net.bank.balance(chain.ctx, ACCOUNT)).toBe(balance(net, ACCOUNT));
  expect(module.invariants!(chain.ctx)).toEqual([]);
});
