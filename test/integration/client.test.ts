/** @karat/client against a real chain: the application under the solo engine, in this process. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  buildGenesis,
  createKaratApp,
  ed25519Key,
  LOCALNET_PARAMS,
  MemoryCommitStore,
  SoloEngine,
  STORES,
} from "@karat/chain";
import { ChainClient, type FollowedBlock, followBlocks, isTransient, TxSender } from "@karat/client";
import { addressOfKey, DENOM, isKaratError, newPrivateKey, publicKeyOf, silentLogger } from "@karat/common";
import { typeUrls } from "@karat/proto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

const privateKey = newPrivateKey();
const me = addressOfKey(publicKeyOf(privateKey));
const other = addressOfKey(publicKeyOf(newPrivateKey()));
const dir = mkdtempSync(join(tmpdir(), "karat-client-"));
let engine: SoloEngine;
let client: ChainClient;

beforeAll(async () => {
  const validator = ed25519Key(new Uint8Array(32).fill(7));
  const genesis = buildGenesis({
    chainId: "karat-client-1",
    timeMs: Date.now(),
    params: LOCALNET_PARAMS,
    accounts: [{ address: me, amount: 1_000_000_000n }],
    validators: [{ publicKey: validator.publicKey, power: 1n }],
  });
  const application = createKaratApp({ store: new MemoryCommitStore(STORES), log: silentLogger });
  engine = await SoloEngine.open({
    application,
    genesis,
    dir,
    validatorKey: validator.seed,
    blockTimeMs: 60,
    rpc: { host: "127.0.0.1", port: 0 },
  });
  client = await ChainClient.connect(engine.rpcUrl);
});
afterAll(async () => {
  client?.close();
  await engine?.stop();
  rmSync(dir, { recursive: true, force: true });
});

const options = { gas: 200_000n, gasPrice: 0.025 };
const send = (amount: number, to = other) => ({
  typeUrl: "/cosmos.bank.v1beta1.MsgSend",
  value: { fromAddress: me, toAddress: to, amount: [{ denom: DENOM, amount: String(amount) }] },
});
const newSender = (): TxSender => new TxSender({ client, privateKey, log: silentLogger });
const codeOf = async (call: Promise<unknown>): Promise<unknown> => {
  const error = await call.then(
    () => undefined,
    (e: unknown) => e,
  );
  return isKaratError(error) ? [error.code, error.data.code ?? null] : error;
};

describe("the one writer of a key", () => {
  test("sends what is asked for at once one after the other, all of it", async () => {
    const before = await client.query.balance(other);
    const sender = newSender();
    const sent = await Promise.all([1, 2, 3, 4, 5].map((amount) => sender.send([send(amount)], options)));
    expect(new Set(sent.map(({ hash }) => hash)).size).toBe(5);
    expect((await client.query.balance(other)) - before).toBe(15n);
  });

  test("finds its sequence again after somebody else used the key", async () => {
    const [a, b] = [newSender(), newSender()];
    await a.send([send(1)], options);
    await b.send([send(1)], options);
    await expect(a.send([send(1)], options)).resolves.toMatchObject({ code: 0 });
  });

  test("says with its code why a transaction was refused, and goes on with the next", async () => {
    const sender = newSender();
    expect(await codeOf(sender.send([send(1)], { gas: 200_000n }))).toEqual(["tx_refused", 13]); // no fee
    expect(await codeOf(sender.send([send(10_000_000_000)], options))).toEqual(["tx_refused", 5]); // no funds
    await expect(sender.send([send(1)], options)).resolves.toMatchObject({ code: 0 });
  });

  test("hands out the hash before the transaction leaves, and can say later what became of it", async () => {
    const sender = newSender();
    let signed: { hash: string; timeoutHeight: bigint } | undefined;
    const sent = await sender.send([send(3)], {
      ...options,
      onSigned(tx) {
        signed = tx;
      },
    });
    expect(signed?.hash).toBe(sent.hash);
    expect(await sender.outcome(sent.hash, signed!.timeoutHeight)).toMatchObject({ code: 0, height: sent.height });
    expect(await sender.outcome("00".repeat(32), 1n)).toBe("expired");
    expect(await sender.outcome("00".repeat(32), 1_000_000n)).toBe("pending");
  });

  test("gives the responses of the messages in their order", async () => {
    const deposit = { typeUrl: typeUrls.deposit, value: { sender: me, client: "", amount: 500n } };
    const refund = { typeUrl: typeUrls.requestRefund, value: { client: me, amount: 200n } };
    const { responses } = await newSender().send([deposit, refund], options);
    expect(responses).toHaveLength(2);
    expect(await client.query.deposit(me)).toMatchObject({ available: 500n, refunding: 200n });
  });

  test("says so when its account does not exist yet", async () => {
    const stranger = new TxSender({ client, privateKey: newPrivateKey(), log: silentLogger });
    expect(await codeOf(stranger.send([send(1)], options))).toEqual(["unknown_account", null]);
  });
});

describe("queries", () => {
  test("of what is not there are undefined", async () => {
    expect(await client.query.inference(new Uint8Array(32))).toBeUndefined();
    expect(await client.query.participant(me)).toBeUndefined();
    expect(await client.query.account(addressOfKey(publicKeyOf(newPrivateKey())))).toBeUndefined();
    expect(await client.query.balance(addressOfKey(publicKeyOf(newPrivateKey())))).toBe(0n);
    expect(await client.query.epoch(99n)).toBeUndefined();
  });

  test("of what there is are typed", async () => {
    expect((await client.query.params()).epochBlocks).toBe(LOCALNET_PARAMS.epochBlocks);
    expect((await client.query.epoch())?.number).toBeGreaterThanOrEqual(0n);
    expect((await client.query.beacon())?.beacon).toHaveLength(32);
  });
});

describe("the block follower", () => {
  test("gives every block once, in order, with transactions decoded, and goes on where its cursor is", async () => {
    let saved: bigint | undefined;
    const cursor = {
      load: () => saved,
      save(height: bigint) {
        saved = height;
      },
    };
    const take = async (count: number): Promise<FollowedBlock[]> => {
      const blocks: FollowedBlock[] = [];
      const stop = new AbortController();
      for await (const block of followBlocks({
        client,
        cursor,
        from: 1n,
        signal: stop.signal,
        log: silentLogger,
        pollMs: 20,
      })) {
        blocks.push(block);
        if (blocks.length === count) break;
      }
      return blocks;
    };
    const first = await take(4);
    expect(first.map(({ height }) => height)).toEqual([1n, 2n, 3n, 4n]);
    expect(saved).toBe(3n); // the fourth was not finished with
    const more = await take(3);
    expect(more[0]?.height).toBe(4n);
    const found = await client.txSearch(`message.action='/cosmos.bank.v1beta1.MsgSend'`);
    const block = await client.block(found[0]!.height);
    expect(block.txs[0]).toMatchObject({ code: 0, events: found[0]!.events });
    expect(client.messagesOf(found[0]!.bytes)[0]?.typeUrl).toBe("/cosmos.bank.v1beta1.MsgSend");
  });
});

test("a node that does not answer is chain_unavailable, which is transient", async () => {
  const error = await ChainClient.connect("http://127.0.0.1:9", { timeoutMs: 500 }).catch((e: unknown) => e);
  expect(isTransient(error)).toBe(true);
});
