import { once } from "node:events";
import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, test } from "vitest";
import { httpNodeRpc, type NodeRpcOptions } from "./nodeRpc.ts";

/** What a call to such a node ends with: its result, or the code of what it throws. */
async function callTo(listener: RequestListener, options: NodeRpcOptions = {}): Promise<unknown> {
  const server = createServer(listener).listen(0, "127.0.0.1");
  await once(server, "listening");
  try {
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    return await httpNodeRpc(() => url, options).call("status", {});
  } catch (error) {
    return (error as { code: string }).code;
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

test("gives the result", async () => {
  expect(await callTo((_, response) => response.end('{"result":{"a":1}}'))).toEqual({ a: 1 });
});

test("says what the node refuses", async () => {
  const refusal = '{"error":{"code":-32603,"message":"Internal error","data":"height must be greater than 0"}}';
  expect(await callTo((_, response) => response.end(refusal))).toBe("rest/invalid-argument");
});

test("stops reading at the bound", async () => {
  const endless: RequestListener = (_, response) => {
    const more = () => {
      while (!response.destroyed && response.write("x".repeat(1024)));
    };
    response.on("drain", more);
    more();
  };
  expect(await callTo(endless, { maxAnswerBytes: 10_000 })).toBe("rest/too-large");
});

test("gives up on a node that does not answer, answers something else, or is not there", async () => {
  expect(await callTo(() => undefined, { timeoutMs: 20 })).toBe("rest/unavailable");
  expect(await callTo((_, response) => response.end("<html>"))).toBe("rest/unavailable");
  await expect(httpNodeRpc(() => undefined).call("status", {})).rejects.toMatchObject({ code: "rest/unavailable" });
});
