import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import {
  Request,
  RequestCheckTx,
  RequestFinalizeBlock,
  RequestQuery,
  Response,
} from "cosmjs-types/tendermint/abci/types";
import { afterEach, expect, test } from "vitest";
import type { Application } from "../abci.ts";
import { KvApp } from "../testing/kv-app.ts";
import { temporaryFolder } from "../testing/temporary.ts";
import { encodeFrame, FrameDecoder } from "./framing.ts";
import { type AbciServer, serveAbci } from "./server.ts";

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function serve(application: Application, listen = "tcp://127.0.0.1:0"): Promise<AbciServer> {
  const server = await serveAbci({ application, listen });
  cleanups.push(() => server.stop());
  return server;
}

function kv(): KvApp {
  const folder = temporaryFolder();
  cleanups.push(folder.remove);
  return new KvApp(folder.path);
}

class Client {
  readonly socket: Socket;
  readonly #frames = new FrameDecoder();
  readonly responses: Response[] = [];

  constructor(address: string) {
    const tcp = /^tcp:\/\/(.+):(\d+)$/.exec(address);
    this.socket = tcp ? connect(Number(tcp[2]), tcp[1]!) : connect(address.replace("unix://", ""));
    this.socket.on("data", (chunk: Buffer) => {
      for (const message of this.#frames.push(chunk)) this.responses.push(Response.decode(message));
      this.socket.emit("response");
    });
    this.socket.on("error", () => undefined);
    cleanups.push(() => this.socket.destroy());
  }

  send(...requests: Partial<Request>[]): void {
    this.socket.write(
      Buffer.concat(requests.map((request) => encodeFrame(Request.encode(request as Request).finish()))),
    );
  }

  async received(count: number): Promise<Response[]> {
    while (this.responses.length < count) await once(this.socket, "response");
    return this.responses;
  }
}

const kinds = (responses: readonly Response[]) =>
  responses.map((response) => Object.entries(response).find(([, value]) => value !== undefined)?.[0]);
const checkTx = (tx: string) => ({ checkTx: RequestCheckTx.fromPartial({ tx: Buffer.from(tx) }) });

test.each(["tcp", "unix"])("over %s, pipelined requests are answered in order, flush included", async (kind) => {
  const folder = temporaryFolder();
  cleanups.push(folder.remove);
  const server = await serve(kv(), kind === "tcp" ? undefined : `unix://${join(folder.path, "abci.sock")}`);
  const client = new Client(server.address);
  client.send(
    { echo: { message: "hello" } },
    checkTx("a=1"),
    checkTx("bad"),
    { flush: {} },
    { info: { version: "", blockVersion: 0n, p2pVersion: 0n, abciVersion: "" } },
    { flush: {} },
  );
  const responses = await client.received(6);
  expect(kinds(responses)).toEqual(["echo", "checkTx", "checkTx", "flush", "info", "flush"]);
  expect(responses[0]?.echo?.message).toBe("hello");
  expect([responses[1]?.checkTx?.code, responses[2]?.checkTx?.code]).toEqual([0, 2]);
});

test("consensus waits for the mempool across connections, queries do not", async () => {
  const app = kv();
  const order: string[] = [];
  const hold = Promise.withResolvers<void>();
  const slow: Application = Object.assign(Object.create(app) as KvApp, {
    checkTx: async (request: RequestCheckTx) => {
      order.push("check starts");
      await hold.promise;
      order.push("check ends");
      return app.checkTx(request);
    },
    finalizeBlock: (request: RequestFinalizeBlock) => {
      order.push("finalize");
      return app.finalizeBlock(request);
    },
    query: (request: RequestQuery) => {
      order.push("query");
      return app.query(request);
    },
  });
  const server = await serve(slow);
  const [mempool, consensus, query] = [
    new Client(server.address),
    new Client(server.address),
    new Client(server.address),
  ];
  mempool.send(checkTx("a=1"));
  while (order.length === 0) await new Promise((resolve) => setImmediate(resolve));
  consensus.send({ finalizeBlock: RequestFinalizeBlock.fromPartial({ height: 1n }) });
  query.send({ query: RequestQuery.fromPartial({ path: "/key" }) });
  await query.received(1);
  hold.resolve();
  await consensus.received(1);
  expect(order).toEqual(["check starts", "query", "check ends", "finalize"]);
});

test("an exception of the application reaches the asker and stops the server", async () => {
  const folder = temporaryFolder();
  cleanups.push(folder.remove);
  const server = await serve(new KvApp(folder.path, { failAtHeight: 3n }));
  const client = new Client(server.address);
  client.send({ finalizeBlock: RequestFinalizeBlock.fromPartial({ height: 3n }) });
  const [response] = await client.received(1);
  expect(response?.exception?.error).toBe("the test application was told to fail");
  await expect(server.finished).rejects.toThrow("told to fail");
});

test("bytes that are no request end the connection with an exception", async () => {
  const server = await serve(kv());
  const client = new Client(server.address);
  client.socket.write(encodeFrame(Uint8Array.of(0xff, 0xff)));
  const [response] = await client.received(1);
  expect(response?.exception).toBeDefined();
  await expect(server.finished).rejects.toMatchObject({ code: "abci/bad-request" });
});

test("an aborted signal ends the server", async () => {
  const aborter = new AbortController();
  const server = await serveAbci({ application: kv(), listen: "tcp://127.0.0.1:0", signal: aborter.signal });
  aborter.abort();
  await expect(server.finished).resolves.toBeUndefined();
});

test.each(["127.0.0.1:0", "http://x:1", "unix://relative"])("the address %s is refused", async (listen) => {
  await expect(serveAbci({ application: kv(), listen })).rejects.toMatchObject({ code: "abci/bad-address" });
});
