import { once } from "node:events";
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { isKaratError } from "@karat/common";
import { Pool } from "undici";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { JsonLines } from "./jsonLines.ts";

let answer: (response: ServerResponse) => void;
let connections: number;
let requests: number;
let cut: number;
let pool: Pool;
const server = createServer((request, response) => {
  requests++;
  request.resume();
  response.once("close", () => {
    if (!response.writableFinished) cut++;
  });
  request.once("end", () => answer(response));
});
server.on("connection", () => connections++);

beforeEach(async () => {
  [connections, requests, cut] = [0, 0, 0];
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  pool = new Pool(`http://127.0.0.1:${(server.address() as AddressInfo).port}`, { connections: 1 });
});
afterEach(async () => {
  await pool.destroy();
  server.closeAllConnections();
  server.close();
  await once(server, "close");
});

const open = (signal = new AbortController().signal): JsonLines =>
  new JsonLines(pool, { path: "/", headers: {}, body: "{}", signal, maxLineBytes: 1_000 });

async function all(lines: JsonLines): Promise<unknown[]> {
  const values: unknown[] = [];
  for (;;) {
    const batch = await lines.read();
    if (batch.length === 0) return values;
    values.push(...batch);
  }
}

test("lines come in order, and the connection serves the next request", async () => {
  answer = (response) => response.end('{"n":1}\n{"n":2}\n');
  for (let i = 0; i < 3; i++) {
    const lines = open();
    expect(await lines.status()).toBe(200);
    expect(await all(lines)).toEqual([{ n: 1 }, { n: 2 }]);
    lines.close(true);
  }
  expect([requests, connections]).toEqual([3, 1]);
});

test("the connection is kept also where the end of the body comes after it was left", async () => {
  let finish: (() => void) | undefined;
  answer = (response) => {
    response.write('{"n":1}\n');
    finish = () => response.end();
  };
  const lines = open();
  expect(await lines.read()).toEqual([{ n: 1 }]);
  lines.close(true);
  finish!();
  answer = (response) => response.end('{"n":2}\n');
  const next = open();
  expect(await all(next)).toEqual([{ n: 2 }]);
  next.close(true);
  expect(connections).toBe(1);
});

test("leaving before the end closes the connection, which stops the other side", async () => {
  answer = (response) => response.write('{"n":1}\n');
  const lines = open();
  expect(await lines.read()).toEqual([{ n: 1 }]);
  lines.close(false);
  await vi.waitFor(() => expect(cut).toBe(1));
});

test("an abort ends it, also before a connection is free for it", async () => {
  answer = () => undefined; // the first request holds the only connection
  const first = open();
  const leaving = new AbortController();
  const second = open(leaving.signal);
  await vi.waitFor(() => expect(requests).toBe(1));
  leaving.abort();
  await expect(second.status()).rejects.toBeDefined();
  second.close(false);
  first.close(false);
  await vi.waitFor(() => expect(cut).toBe(1));
  answer = (response) => response.end();
  const third = open();
  expect(await all(third)).toEqual([]);
  third.close(true);
  expect(requests).toBe(2);
});

test("a status that is no success comes with its text", async () => {
  answer = (response) => response.writeHead(429).end('{"error":{}}');
  const lines = open();
  expect(await lines.status()).toBe(429);
  expect(await lines.text()).toBe('{"error":{}}');
  lines.close(true);
});

test.each([
  ["a malformed line", '{"n":1}\nnonsense\n'],
  ["a line that is cut off", '{"n":1}\n{"n"'],
  ["a line that is too long", `{"n":1}\n"${"x".repeat(1_000)}"\n`],
])("what came before %s is given first", async (_name, text) => {
  answer = (response) => response.end(text);
  const lines = open();
  expect(await lines.read()).toEqual([{ n: 1 }]);
  const error = await lines.read().catch((thrown: unknown) => thrown);
  expect(isKaratError(error, "malformed_stream")).toBe(true);
  lines.close(false);
});

test("a sender that dies is an error behind what it sent", async () => {
  answer = (response) => response.write('{"n":1}\n', () => response.destroy());
  const lines = open();
  expect(await lines.read()).toEqual([{ n: 1 }]);
  await expect(lines.read()).rejects.toBeDefined();
  lines.close(false);
});

test("a reader that is slow holds the sender up, and gets everything", async () => {
  const line = `${JSON.stringify("x".repeat(900))}\n`;
  const count = 20_000; // more than sockets buffer
  let written = 0;
  let heldUp = false;
  const write = (response: ServerResponse): void => {
    while (written < count) {
      written++;
      if (response.write(line)) continue;
      heldUp = true;
      response.once("drain", () => write(response));
      return;
    }
    response.end();
  };
  answer = write;
  const lines = open();
  await vi.waitFor(() => expect(heldUp).toBe(true));
  expect(await all(lines)).toHaveLength(count);
  lines.close(true);
});
