import { setTimeout as delay } from "node:timers/promises";
import { fromBech32 } from "@cosmjs/encoding";
import { DirectSecp256k1Wallet, type EncodeObject } from "@cosmjs/proto-signing";
import { SigningStargateClient } from "@cosmjs/stargate";
import { DENOM, sha256, silentLogger, toBase64, toHex } from "@karat/common";
import { createKaratRegistry, deposit, typeUrls } from "@karat/proto";
import { TxRaw } from "cosmjs-types/cosmos/tx/v1beta1/tx";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createKaratApp, STORES } from "../app/compose.ts";
import { buildGenesis } from "../app/genesis.ts";
import { sendMessage, signerOf } from "../app/testing/index.ts";
import { ed25519Key, SoloEngine } from "../engine/index.ts";
import { temporaryFolder } from "../engine/testing/temporary.ts";
import { MemoryCommitStore } from "../store/index.ts";
import { applicationQuery } from "./applicationQuery.ts";
import { httpNodeRpc } from "./nodeRpc.ts";
import { type RestServer, startRest } from "./server.ts";
import { type Answer, get, post } from "./testing/client.ts";

const alice = signerOf("alice");
const bob = signerOf("bob");
const key = ed25519Key(new Uint8Array(32).fill(9));
const folder = temporaryFolder();

let engine: SoloEngine;
let rest: RestServer;
let client: SigningStargateClient;
const ask = (path: string): Promise<Answer> => get(rest.url, path);

beforeAll(async () => {
  const application = createKaratApp({
    store: new MemoryCommitStore(STORES),
    log: silentLogger,
    checkInvariants: true,
  });
  engine = await SoloEngine.open({
    application,
    genesis: buildGenesis({
      chainId: "karat-rest",
      timeMs: Date.now(),
      accounts: [{ address: alice.address, amount: 1_000_000_000n }],
      validators: [{ publicKey: key.publicKey, power: 10n }],
    }),
    dir: folder.path,
    validatorKey: key.seed,
    blockTimeMs: 50,
    rpc: { host: "127.0.0.1", port: 0 },
  });
  rest = await startRest({
    listen: { host: "127.0.0.1", port: 0 },
    query: applicationQuery(() => application),
    rpc: httpNodeRpc(() => engine.rpcUrl),
    log: silentLogger,
  });
  const wallet = await DirectSecp256k1Wallet.fromKey(alice.privateKey, "karat");
  client = await SigningStargateClient.connectWithSigner(engine.rpcUrl, wallet, { registry: createKaratRegistry() });
});

afterAll(async () => {
  client.disconnect();
  await rest.stop();
  await engine.stop();
  folder.remove();
});

async function sign(message: EncodeObject, memo: string): Promise<Uint8Array> {
  const fee = { amount: [{ denom: DENOM, amount: "5000" }], gas: "200000" };
  return TxRaw.encode(await client.sign(alice.address, [message], fee, memo)).finish();
}

const broadcast = (tx: Uint8Array, mode: unknown = "BROADCAST_MODE_SYNC"): Promise<Answer> =>
  post(rest.url, "/cosmos/tx/v1beta1/txs", { tx_bytes: toBase64(tx), mode });

/** As wallets wait: by asking until it is there. */
async function included(hash: string): Promise<Answer> {
  for (let tries = 0; tries < 500; tries++) {
    const answer = await ask(`/cosmos/tx/v1beta1/txs/${hash}`);
    if (answer.status !== 404) return answer;
    await delay(20);
  }
  throw new Error(`${hash} is in no block`);
}

describe("the node", () => {
  test("says who it is", async () => {
    const { status, body } = await ask("/cosmos/base/tendermint/v1beta1/node_info");
    expect(status).toBe(200);
    expect(body).toMatchObject({
      default_node_info: {
        network: "karat-rest",
        version: expect.stringMatching(/^0\.38\./),
        channels: expect.any(String),
      },
      application_version: { name: "karat", app_name: "karat", cosmos_sdk_version: expect.stringMatching(/^v0\.50\./) },
    });
    expect((await ask("/cosmos/base/tendermint/v1beta1/syncing")).body).toEqual({ syncing: false });
  });

  test("gives blocks with hashes in base64, the same by height", async () => {
    const latest = await ask("/cosmos/base/tendermint/v1beta1/blocks/latest");
    expect(latest.status).toBe(200);
    const { height } = latest.body.block.header;
    const { body } = await ask(`/cosmos/base/tendermint/v1beta1/blocks/${height}`);
    expect(body).toEqual(latest.body);
    const address = toBase64(key.address);
    expect(body).toMatchObject({
      block_id: { hash: expect.stringMatching(/^[\w+/]{43}=$/), part_set_header: { total: 1 } },
      block: {
        header: {
          version: { block: "11" },
          chain_id: "karat-rest",
          time: expect.any(String),
          proposer_address: address,
        },
        data: { txs: [] },
        evidence: { evidence: [] },
      },
    });
    expect(fromBech32(body.sdk_block.header.proposer_address)).toEqual({ prefix: "karatvalcons", data: key.address });
    if (height !== "1") {
      const [signature] = body.block.last_commit.signatures;
      expect(signature).toMatchObject({ block_id_flag: "BLOCK_ID_FLAG_COMMIT", validator_address: address });
    }
  });

  test("gives the validators of a height", async () => {
    for (const height of ["latest", "1"]) {
      const { body } = await ask(`/cosmos/base/tendermint/v1beta1/validatorsets/${height}?pagination.limit=10`);
      expect(body.pagination).toEqual({ next_key: null, total: "1" });
      expect(body.validators).toMatchObject([
        {
          pub_key: { "@type": "/cosmos.crypto.ed25519.PubKey", key: toBase64(key.publicKey) },
          voting_power: "10",
          proposer_priority: "0",
        },
      ]);
      expect(fromBech32(body.validators[0].address).prefix).toBe("karatvalcons");
    }
  });

  test.each([
    "/cosmos/base/tendermint/v1beta1/blocks/999999",
    "/cosmos/base/tendermint/v1beta1/blocks/0",
    "/cosmos/base/tendermint/v1beta1/blocks/first",
    "/cosmos/base/tendermint/v1beta1/validatorsets/999999",
    "/cosmos/base/tendermint/v1beta1/validatorsets/latest?pagination.offset=5&pagination.limit=10",
    "/cosmos/base/tendermint/v1beta1/validatorsets/latest?pagination.offset=1000&pagination.limit=10",
  ])("refuses %s", async (path) => {
    const { status, body } = await ask(path);
    expect([status, body.code]).toEqual([400, 3]);
  });
});

describe("transactions", () => {
  test("one that CosmJS signed is simulated, taken, found by hash and by search", async () => {
    const tx = await sign(sendMessage(alice, bob, 7n), "coffee");
    const simulated = await post(rest.url, "/cosmos/tx/v1beta1/simulate", { tx_bytes: toBase64(tx) });
    expect(simulated.status).toBe(200);
    expect(simulated.body).toMatchObject({
      gas_info: { gas_used: expect.stringMatching(/^[1-9]\d*$/) },
      result: {
        events: expect.arrayContaining([
          { type: "transfer", attributes: expect.arrayContaining([{ key: "amount", value: "7ukarat", index: true }]) },
        ]),
        msg_responses: [{ "@type": "/cosmos.bank.v1beta1.MsgSendResponse" }],
      },
    });

    const { status, body } = await broadcast(tx);
    const txhash = toHex(sha256(tx)).toUpperCase();
    expect([status, body.tx_response]).toEqual([
      200,
      expect.objectContaining({ code: 0, txhash, height: "0", codespace: "", raw_log: "", logs: [], tx: null }),
    ]);

    const found = await included(txhash);
    expect(found.status).toBe(200);
    expect(found.body.tx).toMatchObject({
      body: {
        messages: [
          {
            "@type": "/cosmos.bank.v1beta1.MsgSend",
            from_address: alice.address,
            to_address: bob.address,
            amount: [{ denom: DENOM, amount: "7" }],
          },
        ],
        memo: "coffee",
        timeout_height: "0",
        extension_options: [],
      },
      auth_info: {
        signer_infos: [
          {
            public_key: { "@type": "/cosmos.crypto.secp256k1.PubKey", key: toBase64(alice.publicKey) },
            mode_info: { single: { mode: "SIGN_MODE_DIRECT" } },
            sequence: "0",
          },
        ],
        fee: { amount: [{ denom: DENOM, amount: "5000" }], gas_limit: "200000", payer: "", granter: "" },
      },
      signatures: [expect.any(String)],
    });
    expect(found.body.tx_response).toMatchObject({
      txhash,
      code: 0,
      gas_wanted: "200000",
      tx: { "@type": "/cosmos.tx.v1beta1.Tx", ...found.body.tx },
      timestamp: expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/),
    });

    const query = `transfer.recipient='${bob.address}'`;
    for (const name of ["query", "events"]) {
      const path = `/cosmos/tx/v1beta1/txs?${name}=${encodeURIComponent(query)}&order_by=ORDER_BY_DESC&pagination.limit=5`;
      const { body } = await ask(path);
      expect([body.total, body.pagination]).toEqual(["1", null]);
      expect(body.txs).toEqual([found.body.tx]);
      expect(body.tx_responses).toEqual([found.body.tx_response]);
    }
    const block = await ask(`/cosmos/base/tendermint/v1beta1/blocks/${found.body.tx_response.height}`);
    expect(block.body.block.data.txs).toEqual([toBase64(tx)]);

    const again = await broadcast(tx);
    expect(again.body.tx_response).toMatchObject({ code: 19, codespace: "sdk", txhash });
  });

  test("a message of Karat's own is opened like any other", async () => {
    const value = deposit.MsgDeposit.fromPartial({ sender: alice.address, amount: 1_000n });
    const tx = await sign({ typeUrl: typeUrls.deposit, value }, "");
    const { body } = await broadcast(tx, 2);
    expect(body.tx_response).toMatchObject({ code: 0, raw_log: "" });
    const found = await included(body.tx_response.txhash);
    expect(found.body.tx_response).toMatchObject({ code: 0, raw_log: "" });
    expect(found.body.tx.body.messages).toEqual([
      { "@type": "/karat.deposit.v1.MsgDeposit", sender: alice.address, client: "", amount: "1000" },
    ]);
    const balance = await ask(`/karat/deposit/v1/deposits/${alice.address}`);
    expect(balance.body.deposit.available).toBe("1000");
  });

  test("one that the application refuses has its code, and 200", async () => {
    const { status, body } = await broadcast(new Uint8Array([1, 2, 3]));
    expect(status).toBe(200);
    expect(body.tx_response).toMatchObject({ code: 2, codespace: "sdk", raw_log: expect.stringMatching(/./) });
  });

  test("one that would fail is a 400 in simulation", async () => {
    const tx = await sign(sendMessage(alice, bob, 10_000_000_000n), "");
    const { status, body } = await post(rest.url, "/cosmos/tx/v1beta1/simulate", { tx_bytes: toBase64(tx) });
    expect([status, body]).toEqual([
      400,
      { code: 9, message: expect.stringContaining("insufficient funds"), details: [] },
    ]);
  });

  test.each([
    ["no JSON", "{"],
    ["no object", "[]"],
    ["no bytes", { mode: "BROADCAST_MODE_SYNC" }],
    ["bytes that are not base64", { tx_bytes: "***", mode: "BROADCAST_MODE_SYNC" }],
    ["no mode", { tx_bytes: "AQID" }],
    ["a mode that is gone", { tx_bytes: "AQID", mode: "BROADCAST_MODE_BLOCK" }],
    ["a mode of the prototype", { tx_bytes: "AQID", mode: "constructor" }],
  ])("%s is refused", async (_, body) => {
    const answer = await post(rest.url, "/cosmos/tx/v1beta1/txs", body);
    expect([answer.status, answer.body.code]).toEqual([400, 3]);
  });

  test("a body beyond the bound is refused", async () => {
    const { status, body } = await post(rest.url, "/cosmos/tx/v1beta1/txs", { tx_bytes: "A".repeat(1024 * 1024) });
    expect([status, body.code]).toEqual([413, 8]);
  });

  test.each([
    ["/cosmos/tx/v1beta1/txs/abc", 400],
    [`/cosmos/tx/v1beta1/txs/${"AB".repeat(32)}`, 404],
    ["/cosmos/tx/v1beta1/txs", 400],
    ["/cosmos/tx/v1beta1/txs?query=%3D%3D", 400],
    ["/cosmos/tx/v1beta1/txs?query=tx.height%3D1&order_by=random", 400],
    ["/cosmos/tx/v1beta1/txs?query=tx.height%3D1&page=9", 400],
  ])("%s is %i", async (path, status) => {
    expect((await ask(path)).status).toBe(status);
  });

  test("a search that finds nothing is an empty page", async () => {
    const { status, body } = await ask("/cosmos/tx/v1beta1/txs?query=tx.height%3D1&page=1&limit=10");
    expect([status, body]).toEqual([200, { txs: [], tx_responses: [], pagination: null, total: "0" }]);
  });
});
