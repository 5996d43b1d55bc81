import { once } from "node:events";
import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { RpcConnection } from "./rpcConnection.ts";

const REQUEST = { jsonrpc: "2.0", id: 1, method: "status", params: {} } as const;

async function connect(answer: RequestListener, timeoutMs: number): Promise<RpcConnection> {
  const server = createServer(answer).listen(0, "127.0.0.1");
  await once(server, "listening");
  const connection = new RpcConnection(`http://127.0.0.1:${(server.address() as AddressInfo).port}`, timeoutMs);
  onTestFinished(() => {
    connection.disconnect();
    server.closeAllConnections();
    server.close();
  });
  return connection;
}

test("a node that does not answer is not waited for for ever", async () => {
  const silent = await connect(() => undefined, 50);
  await expect(silent.execute(REQUEST)).rejects.toThrow();
  const halting = await connect((_, response) => void response.writeHead(200).write("{"), 50);
  await expect(halting.execute(REQUEST)).rejects.toThrow();
});

test("an answer comes back, an error is thrown", async () => {
  const good = await connect((_, response) => void response.end('{"jsonrpc":"2.0","id":1,"result":{"a":1}}'), 20_000);
  expect(await good.execute(REQUEST)).toMatchObject({ result: { a: 1 } });
  const bad = await connect((_, response) => void response.end('{"jsonrpc":"2.0","id":1,"error":{"code":-3}}'), 20_000);
  await expect(bad.execute(REQUEST)).rejects.toThrow('{"code":-3}');
});
