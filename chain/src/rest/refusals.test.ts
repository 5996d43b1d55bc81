import { silentLogger } from "@karat/common";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { signerOf } from "../app/testing/index.ts";
import { applicationQuery } from "./applicationQuery.ts";
import { startRest } from "./server.ts";
import { get, post } from "./testing/client.ts";
import { type Served, serve, silentNode } from "./testing/served.ts";

let served: Served;
const ask: Served["ask"] = (path, headers) => served.ask(path, headers);

beforeAll(async () => {
  served = await serve();
});

afterAll(() => served.rest.stop());

const rich = signerOf("rich").address;
const client = signerOf("client0").address;

describe("refusals and headers", () => {
  test("an unknown module is 501 with a gateway's body, which is how wallets probe", async () => {
    for (const path of [
      "/ibc/apps/transfer/v1/params",
      "/cosmwasm/wasm/v1/codeinfo",
      "/cosmos/authz/v1beta1/grants",
      "/",
    ]) {
      const { status, body } = await ask(path);
      expect([path, status, body]).toEqual([path, 501, { code: 12, message: "Not Implemented", details: [] }]);
    }
    expect((await post(served.rest.url, `/cosmos/bank/v1beta1/balances/${rich}`, {})).status).toBe(501);
  });

  test("a supported module that dislikes a parameter says 400: the other half of the probe", async () => {
    const { status, body } = await ask("/cosmos/bank/v1beta1/spendable_balances/test");
    expect([status, body]).toEqual([400, { code: 3, message: expect.any(String), details: [] }]);
  });

  test("an account that does not exist is 404, code 5", async () => {
    const { status, body } = await ask(`/cosmos/auth/v1beta1/accounts/${signerOf("nobody").address}`);
    expect([status, body.code, body.details]).toEqual([404, 5, []]);
  });

  test("a malformed path, page key and offset are 400", async () => {
    for (const path of [
      "/cosmos/auth/v1beta1/accounts/%E0%A4%A",
      "/cosmos/auth/v1beta1/accounts?pagination.key=%%%",
      "/cosmos/auth/v1beta1/accounts?pagination.key=!",
      "/cosmos/auth/v1beta1/accounts?pagination.offset=5",
      "/cosmos/auth/v1beta1/accounts?pagination.reverse=perhaps",
    ]) {
      expect([path, (await ask(path)).status]).toEqual([path, 400]);
    }
  });

  test("a page is bounded whatever is asked for", async () => {
    const { status, body } = await ask("/cosmos/auth/v1beta1/accounts?pagination.limit=18446744073709551615");
    expect(status).toBe(200);
    expect(body.accounts.length).toBeLessThanOrEqual(200);
  });

  test("the height asked for is honoured, the one answered from returned", async () => {
    const path = `/cosmos/bank/v1beta1/balances/${client}`;
    const now = String(served.chain.height);
    for (const headers of [{}, { "x-cosmos-block-height": now }, { "x-cosmos-block-height": "0" }]) {
      const { status, headers: returned } = await ask(path, headers);
      expect([status, returned.get("x-cosmos-block-height")]).toEqual([200, now]);
      expect(returned.get("grpc-metadata-x-cosmos-block-height")).toBe(now);
    }
    const before = await ask(path, { "x-cosmos-block-height": "1" });
    expect([before.body.balances[0].amount, before.headers.get("x-cosmos-block-height")]).toEqual(["1000000000", "1"]);
    for (const height of ["999", "-1", "x"]) {
      expect((await ask(path, { "x-cosmos-block-height": height })).status).toBe(400);
    }
  });

  test("any origin may ask, also beforehand", async () => {
    const preflight = await fetch(`${served.rest.url}/cosmos/tx/v1beta1/txs`, {
      method: "OPTIONS",
      headers: { origin: "https://wallet.example", "access-control-request-method": "POST" },
    });
    expect(preflight.status).toBe(204);
    expect(preflight.headers.get("access-control-allow-origin")).toBe("*");
    expect(preflight.headers.get("access-control-allow-methods")).toContain("POST");
    expect(preflight.headers.get("access-control-allow-headers")).toContain("content-type");
    for (const path of ["/cosmos/bank/v1beta1/supply", "/nowhere"]) {
      expect((await ask(path)).headers.get("access-control-allow-origin")).toBe("*");
    }
  });

  test("503 where the node behind does not answer", async () => {
    for (const path of ["/cosmos/base/tendermint/v1beta1/node_info", "/cosmos/base/tendermint/v1beta1/blocks/latest"]) {
      const { status, body } = await ask(path);
      expect([status, body.code]).toEqual([503, 14]);
    }
  });

  test("the smallest gas price is told", async () => {
    const { body } = await ask("/cosmos/base/node/v1beta1/config");
    expect(body.minimum_gas_price).toBe("0.025000ukarat");
  });
});

test("requests beyond the bound are turned away, and let in again", async () => {
  const gate = Promise.withResolvers<void>();
  const entered = Promise.withResolvers<void>();
  const narrow = await startRest({
    listen: { host: "127.0.0.1", port: 0 },
    query: async (path, data, height) => {
      entered.resolve();
      await gate.promise;
      return applicationQuery(() => served.chain.app)(path, data, height);
    },
    rpc: silentNode,
    log: silentLogger,
    limits: { inFlight: 1 },
  });
  try {
    const first = get(narrow.url, "/cosmos/bank/v1beta1/supply");
    await entered.promise;
    const second = await get(narrow.url, "/cosmos/bank/v1beta1/supply");
    expect([second.status, second.body.code, second.headers.get("retry-after")]).toEqual([429, 8, "1"]);
    gate.resolve();
    expect((await first).status).toBe(200);
    expect((await get(narrow.url, "/cosmos/bank/v1beta1/supply")).status).toBe(200);
  } finally {
    await narrow.stop();
  }
});
