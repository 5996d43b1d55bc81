import {
  assertIsDeliverTxSuccess,
  BroadcastTxError,
  calculateFee,
  GasPrice,
  isDeliverTxFailure,
} from "@cosmjs/stargate";
import { DENOM, sha256, toHex } from "@karat/common";
import { deposit, typeUrls } from "@karat/proto";
import { MsgSendResponse } from "cosmjs-types/cosmos/bank/v1beta1/tx";
import { TxRaw } from "cosmjs-types/cosmos/tx/v1beta1/tx";
import { expect } from "vitest";
import { type Checks, coins, FEE, failureOf, type Suite, send, signed, soon } from "./context.ts";

const balanceOf = async ({ direct }: Suite, address: string) =>
  BigInt((await direct.getBalance(address, DENOM)).amount);
const hashOf = (tx: Uint8Array) => toHex(sha256(tx)).toUpperCase();

/** Sending, in every way there is. */
export const broadcastChecks: Checks = (_, check) => {
  check("simulate", async ({ direct, alice, bob }) =>
    expect(await direct.simulate(alice.address, [send(alice, bob, 1)], "a memo")).toBeGreaterThan(1_000),
  );
  check("simulation of what would fail says why", async ({ direct, alice, bob }) =>
    expect((await failureOf(direct.simulate(alice.address, [send(alice, bob, 10n ** 17n)], ""))).message).toContain(
      "Query failed with (5)",
    ),
  );
  check("what was simulated is enough gas", async ({ direct, alice, bob }) => {
    const gas = await direct.simulate(alice.address, [send(alice, bob, 1)], "");
    const fee = calculateFee(Math.ceil(gas * 1.1), GasPrice.fromString(`0.025${DENOM}`));
    assertIsDeliverTxSuccess(await direct.signAndBroadcast(alice.address, [send(alice, bob, 1)], fee));
  });
  check("signAndBroadcast: result, gas, events, responses", async ({ direct, alice, bob }) => {
    const result = await direct.signAndBroadcast(alice.address, [send(alice, bob, 7)], FEE, "seven");
    expect(result).toMatchObject({ code: 0, gasWanted: 200_000n });
    expect(result.gasUsed).toBeGreaterThan(0n);
    expect(result.gasUsed).toBeLessThan(result.gasWanted);
    expect(result.msgResponses.map(({ typeUrl }) => typeUrl)).toEqual([MsgSendResponse.typeUrl]);
    const transfer = result.events.find(
      ({ type, attributes }) =>
        type === "transfer" && attributes.some(({ key, value }) => key === "recipient" && value === bob.address),
    );
    expect(transfer?.attributes).toContainEqual({ key: "amount", value: `7${DENOM}` });
  });
  check("sendTokens moves the money and takes the fee", async (suite) => {
    const { direct, alice, bob } = suite;
    const before = [await balanceOf(suite, alice.address), await balanceOf(suite, bob.address)];
    assertIsDeliverTxSuccess(await direct.sendTokens(alice.address, bob.address, coins(11), FEE));
    const after = [await balanceOf(suite, alice.address), await balanceOf(suite, bob.address)];
    expect([before[0]! - after[0]!, after[1]! - before[1]!]).toEqual([5_011n, 11n]);
  });
  check("signAndBroadcastSync answers before the block, with the hash", async ({ direct, alice, bob }) => {
    const hash = await direct.signAndBroadcastSync(alice.address, [send(alice, bob, 1)], FEE, "sync");
    expect(await soon(async () => (await direct.getTx(hash)) ?? Promise.reject(new Error("not yet")))).toMatchObject({
      hash,
      code: 0,
    });
  });
  check("broadcast_tx_sync", async (suite) => {
    const tx = await signed(suite, [send(suite.alice, suite.bob, 1)], { memo: "comet sync" });
    const answer = await suite.comet.broadcastTxSync({ tx });
    expect([answer.code, toHex(answer.hash).toUpperCase()]).toEqual([0, hashOf(tx)]);
    await soon(() => suite.comet.tx({ hash: answer.hash }));
  });
  check("broadcast_tx_async", async (suite) => {
    const tx = await signed(suite, [send(suite.alice, suite.bob, 1)], { memo: "comet async" });
    const { hash } = await suite.comet.broadcastTxAsync({ tx });
    expect((await soon(() => suite.comet.tx({ hash }))).result.code).toBe(0);
  });
  check("broadcast_tx_commit", async (suite) => {
    const tx = await signed(suite, [send(suite.alice, suite.bob, 1)], { memo: "comet commit" });
    const { height, checkTx, txResult } = await suite.comet.broadcastTxCommit({ tx });
    expect([checkTx.code, txResult?.code]).toEqual([0, 0]);
    expect(height).toBeGreaterThan(1);
  });
  check("five transactions of one account in flight at once", async (suite) => {
    const { direct, alice, bob, comet } = suite;
    const { sequence } = await direct.getSequence(alice.address);
    const txs = await Promise.all(
      [0, 1, 2, 3, 4].map((i) => signed(suite, [send(alice, bob, 1)], { sequence: sequence + i, memo: `flight ${i}` })),
    );
    for (const tx of txs) expect((await comet.broadcastTxSync({ tx })).code).toBe(0);
    for (const tx of txs) {
      const { result } = await soon(() => comet.tx({ hash: sha256(tx) }));
      expect(result.code).toBe(0);
    }
    expect((await direct.getSequence(alice.address)).sequence).toBe(sequence + 5);
  });
  check(
    "several messages in one transaction: all, in order, with their index",
    async ({ direct, alice, bob, ledger }) => {
      const result = await direct.signAndBroadcast(alice.address, [send(alice, bob, 1), send(alice, ledger, 2)], FEE);
      assertIsDeliverTxSuccess(result);
      expect(result.msgResponses).toHaveLength(2);
      const indices = result.events
        .filter(({ type }) => type === "transfer")
        .flatMap(({ attributes }) => attributes.filter(({ key }) => key === "msg_index").map(({ value }) => value));
      expect(indices).toEqual(["0", "1"]);
    },
  );
  check("several messages in one transaction: none when one fails", async (suite) => {
    const { direct, alice, bob } = suite;
    const before = await balanceOf(suite, bob.address);
    const result = await direct.signAndBroadcast(
      alice.address,
      [send(alice, bob, 1), send(alice, bob, 10n ** 17n)],
      FEE,
    );
    expect(result).toMatchObject({ code: 5 });
    expect(await balanceOf(suite, bob.address)).toBe(before);
  });
  check("amino signing, as a Ledger does", async ({ amino, ledger, bob }) =>
    assertIsDeliverTxSuccess(await amino.signAndBroadcast(ledger.address, [send(ledger, bob, 1)], FEE, "amino")),
  );
  check("amino signing of several messages with special characters in the memo", async ({ amino, ledger, bob }) =>
    assertIsDeliverTxSuccess(
      await amino.signAndBroadcast(ledger.address, [send(ledger, bob, 1), send(ledger, bob, 2)], FEE, "<é> & 雪"),
    ),
  );
  check("a message of Karat's own, and what it changes", async (suite) => {
    const { direct, alice, query } = suite;
    const value = { sender: alice.address, client: alice.address, amount: 1_000_000n };
    assertIsDeliverTxSuccess(await direct.signAndBroadcast(alice.address, [{ typeUrl: typeUrls.deposit, value }], FEE));
    const request = deposit.QueryDepositRequest.encode({ client: alice.address }).finish();
    const answer = await query.queryAbci("/karat.deposit.v1.Query/Deposit", request);
    expect(deposit.QueryDepositResponse.decode(answer.value).deposit?.available).toBeGreaterThanOrEqual(1_000_000n);
  });
  check("a fee above the minimum is taken as it is", async (suite) => {
    const { direct, alice, bob } = suite;
    const before = await balanceOf(suite, alice.address);
    const fee = { amount: coins(77_777), gas: "200000" };
    assertIsDeliverTxSuccess(await direct.signAndBroadcast(alice.address, [send(alice, bob, 1)], fee));
    expect(before - (await balanceOf(suite, alice.address))).toBe(77_778n);
  });
};

/** What is refused, with the SDK's codes. */
export const refusalChecks: Checks = (_, check) => {
  const refused = async (suite: Suite, tx: Uint8Array) => {
    const { code, codespace, log } = await suite.comet.broadcastTxSync({ tx });
    return { code, codespace, log };
  };
  const sdk = (code: number) => expect.objectContaining({ code, codespace: "sdk" });
  const one = ({ alice, bob }: Suite) => [send(alice, bob, 1)];

  check("a sequence that is used is code 32, with the words that clients read", async (suite) => {
    const { code, codespace, log } = await refused(
      suite,
      await signed(suite, one(suite), { sequence: 0, memo: "late" }),
    );
    expect([code, codespace]).toEqual([32, "sdk"]);
    expect(log).toMatch(/account sequence mismatch, expected \d+, got 0/);
  });
  check("a sequence ahead is code 32", async (suite) => {
    const { sequence } = await suite.direct.getSequence(suite.alice.address);
    expect(await refused(suite, await signed(suite, one(suite), { sequence: sequence + 3 }))).toEqual(sdk(32));
  });
  check("CosmJS throws BroadcastTxError with code and codespace", async (suite) => {
    const tx = await signed(suite, one(suite), { sequence: 0, memo: "late, too" });
    const error = await failureOf(suite.direct.broadcastTxSync(tx));
    expect(error).toBeInstanceOf(BroadcastTxError);
    expect([error.code, error.codespace]).toEqual([32, "sdk"]);
  });
  check("another chain's signature is code 4", async (suite) =>
    expect(await refused(suite, await signed(suite, one(suite), { chainId: "cosmoshub-4" }))).toEqual(sdk(4)),
  );
  check("another account number is code 4", async (suite) =>
    expect(await refused(suite, await signed(suite, one(suite), { accountNumber: 999n }))).toEqual(sdk(4)),
  );
  check("a changed signature is code 4", async (suite) => {
    const { bodyBytes, authInfoBytes, signatures } = TxRaw.decode(await signed(suite, one(suite)));
    const changed = Uint8Array.from(signatures[0]!);
    changed[5]! ^= 1;
    const tx = TxRaw.encode({ bodyBytes, authInfoBytes, signatures: [changed] }).finish();
    expect(await refused(suite, tx)).toEqual(sdk(4));
  });
  check("gas that does not cover the checks is code 11", async (suite) =>
    expect(await refused(suite, await signed(suite, one(suite), { fee: { ...FEE, gas: "500" } }))).toEqual(sdk(11)),
  );
  check("gas that runs out in a message is code 11 in the block, and the fee is gone", async (suite) => {
    const { direct, alice, ledger } = suite;
    const messages = Array.from({ length: 20 }, () => send(alice, ledger, 1));
    const simulated = await direct.simulate(alice.address, messages, "");
    const before = await balanceOf(suite, alice.address);
    const fee = { amount: coins(100_000), gas: String(Math.floor(simulated * 0.6)) };
    const result = await direct.signAndBroadcast(alice.address, messages, fee);
    expect([result.code, isDeliverTxFailure(result)]).toEqual([11, true]);
    expect(before - (await balanceOf(suite, alice.address))).toBe(100_000n);
  });
  check("too small a fee is code 13", async (suite) =>
    expect(await refused(suite, await signed(suite, one(suite), { fee: { amount: coins(1), gas: "200000" } }))).toEqual(
      sdk(13),
    ),
  );
  check("no fee is code 13", async (suite) =>
    expect(await refused(suite, await signed(suite, one(suite), { fee: { amount: [], gas: "200000" } }))).toEqual(
      sdk(13),
    ),
  );
  check("a fee in another coin is code 13", async (suite) =>
    expect(
      await refused(suite, await signed(suite, one(suite), { fee: { amount: coins(5_000, "uatom"), gas: "200000" } })),
    ).toEqual(sdk(13)),
  );
  check("too little money is code 5 in the block; fee and sequence are used", async (suite) => {
    const { direct, alice, bob } = suite;
    const { sequence } = await direct.getSequence(alice.address);
    const before = await balanceOf(suite, alice.address);
    const result = await direct.signAndBroadcast(alice.address, [send(alice, bob, 10n ** 17n)], FEE);
    expect([result.code, result.rawLog !== ""]).toEqual([5, true]);
    expect(before - (await balanceOf(suite, alice.address))).toBe(5_000n);
    expect((await direct.getSequence(alice.address)).sequence).toBe(sequence + 1);
  });
  check("bytes that are no transaction are code 2", async (suite) =>
    expect(await refused(suite, new Uint8Array([1, 2, 3]))).toEqual(sdk(2)),
  );
  check("an encoding that is not the only one is code 2", async (suite) => {
    const tx = await signed(suite, one(suite));
    // An unknown field at the end: the signature would still hold.
    expect(await refused(suite, Uint8Array.from([...tx, 0xf8, 0x07, 0x01]))).toEqual(sdk(2));
  });
  check("a height that has passed is code 30", async (suite) =>
    expect(await refused(suite, await signed(suite, one(suite), { timeout: 1n }))).toEqual(sdk(30)),
  );
  check("a memo that is too long is code 12", async (suite) =>
    expect(await refused(suite, await signed(suite, one(suite), { memo: "m".repeat(300) }))).toEqual(sdk(12)),
  );
  check("no account, no transaction: code 9", async (suite) => {
    const { DirectSecp256k1Wallet } = await import("@cosmjs/proto-signing");
    const { SigningStargateClient } = await import("@cosmjs/stargate");
    const { signerOf } = await import("../../../chain/src/app/testing/index.ts");
    const stranger = signerOf(`cosmjs stranger ${suite.transport}`);
    const wallet = await DirectSecp256k1Wallet.fromKey(stranger.privateKey, "karat");
    const client = await SigningStargateClient.offline(wallet);
    const data = { accountNumber: 0n, sequence: 0, chainId: await suite.direct.getChainId() };
    const raw = await client.sign(stranger.address, [send(stranger, suite.bob, 1)], FEE, "", data);
    expect(await refused(suite, TxRaw.encode(raw).finish())).toEqual(sdk(9));
  });
  check("a transaction that is known is not executed twice", async (suite) => {
    const { direct, alice, comet } = suite;
    const tx = await signed(suite, one(suite), { memo: "once" });
    await comet.broadcastTxCommit({ tx });
    const { sequence } = await direct.getSequence(alice.address);
    // CometBFT answers with an error, the solo engine with a code: neither takes it.
    const again = await comet.broadcastTxSync({ tx }).then(
      ({ code }) => code,
      () => -1,
    );
    expect(again).not.toBe(0);
    expect((await direct.getSequence(alice.address)).sequence).toBe(sequence);
  });
  check("a flood of what is refused neither stays nor holds up what pays", async (suite) => {
    const { comet } = suite;
    const good = await signed(suite, one(suite), { memo: "in the flood" });
    const { bodyBytes, authInfoBytes, signatures } = TxRaw.decode(good);
    const flood = Array.from({ length: 200 }, (_, i) => {
      const changed = Uint8Array.from(signatures[0]!);
      changed[i % 32]! ^= 1 + Math.floor(i / 32);
      return TxRaw.encode({ bodyBytes, authInfoBytes, signatures: [changed] }).finish();
    });
    const refusals = Promise.all(flood.map((tx) => comet.broadcastTxSync({ tx })));
    const { txResult } = await comet.broadcastTxCommit({ tx: good });
    expect(txResult?.code).toBe(0);
    // 32 for what comes when the good one is in its block.
    for (const { code } of await refusals) expect([4, 32]).toContain(code);
    await soon(async () => expect((await comet.numUnconfirmedTxs()).total).toBe(0));
  });
};
