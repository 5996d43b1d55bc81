import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { afterEach, beforeEach, expect, test } from "vitest";
import { KeptConnections } from "./keptConnections.ts";

const server = createServer();
let here: Socket;
let there: Socket;
beforeEach(async () => {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  there = connect((server.address() as AddressInfo).port, "127.0.0.1");
  [here] = (await once(server, "connection")) as [Socket];
  here.on("error", () => undefined).resume(); // a reset is a close like another
});
afterEach(async () => {
  here.destroy();
  there.destroy();
  server.close();
  await once(server, "close");
});

test("a connection that is closed, or reset, is nobody's answer", async () => {
  const connections = new KeptConnections(600_000);
  const kept = connections.kept(here);
  there.resetAndDestroy();
  expect(await kept).toBe(false);
  expect(await connections.kept(here)).toBe(false);
});

test("one that is used again, or stays, had its answer taken", async () => {
  const connections = new KeptConnections(600_000);
  const kept = connections.kept(here);
  connections.used(here);
  expect(await kept).toBe(true);
  expect(await new KeptConnections(20).kept(here)).toBe(true);
  expect(here.listenerCount("close")).toBe(0);
});

test("a node that closes takes no close for a word", async () => {
  const connections = new KeptConnections(600_000);
  const kept = connections.kept(here);
  connections.close();
  there.destroy();
  expect(await kept).toBe(true);
  expect(await connections.kept(here)).toBe(true);
});
