import { type RequestCheckTx, ResponseCheckTx } from "cosmjs-types/tendermint/abci/types";
import { expect, test } from "vitest";
import type { Application } from "../abci.ts";
import { DEFAULT_LIMITS, Mempool } from "./mempool.ts";

const bytes = (text: string) => new Uint8Array(Buffer.from(text));

/** Accepts what does not contain "bad"; on recheck refuses what contains "stale". Every transaction wants one gas. */
function mempool(limits = {}) {
  const checked: string[] = [];
  const application = {
    checkTx({ tx, type }: RequestCheckTx): ResponseCheckTx {
      const text = Buffer.from(tx).toString();
      checked.push(`${type}:${text}`);
      const code = text.includes("bad") || (type === 1 && text.includes("stale")) ? 5 : 0;
      return ResponseCheckTx.fromPartial({ code, gasWanted: 1n });
    },
  } as Partial<Application> as Application;
  const pool = new Mempool(application, { ...DEFAULT_LIMITS, ...limits });
  pool.setBlockLimits({ maxBytes: 100n, maxGas: -1n });
  return { pool, checked };
}

test("transactions come out in the order they were checked", async () => {
  const { pool } = mempool();
  for (const tx of ["c", "a", "b"]) await pool.add(bytes(tx));
  expect(pool.reap(1_000n, -1n).map((tx) => Buffer.from(tx).toString())).toEqual(["c", "a", "b"]);
});

test("a block takes what fits by bytes and by gas", async () => {
  const { pool } = mempool();
  for (const tx of ["one", "two", "six"]) await pool.add(bytes(tx));
  // Three bytes each, and two of protobuf around them.
  expect(pool.reap(10n, -1n)).toHaveLength(2);
  expect(pool.reap(9n, -1n)).toHaveLength(1);
  expect(pool.reap(1_000n, 2n)).toHaveLength(2);
  expect(pool.reap(1_000n, 0n)).toHaveLength(0);
});

test("a duplicate has code 19 and is not checked again, before and after it is in a block", async () => {
  const { pool, checked } = mempool();
  await pool.add(bytes("a"));
  expect((await pool.add(bytes("a"))).code).toBe(19);
  await pool.update([bytes("a")], [true]);
  expect((await pool.add(bytes("a"))).code).toBe(19);
  expect(checked).toEqual(["0:a"]);
});

test("what was refused, or failed in its block, may come again", async () => {
  const { pool, checked } = mempool();
  await pool.add(bytes("bad"));
  await pool.add(bytes("bad"));
  await pool.add(bytes("failing"));
  await pool.update([bytes("failing")], [false]);
  expect((await pool.add(bytes("failing"))).code).toBe(0);
  expect(checked).toEqual(["0:bad", "0:bad", "0:failing", "0:failing"]);
});

test("after a block the rest is checked again and the stale goes", async () => {
  const { pool, checked } = mempool();
  for (const tx of ["in", "stale", "keep"]) await pool.add(bytes(tx));
  await pool.update([bytes("in")], [true]);
  expect(checked.slice(3)).toEqual(["1:stale", "1:keep"]);
  expect([pool.size, pool.bytes]).toEqual([1, 4]);
});

test("it is bounded in transactions, in bytes, and for each transaction", async () => {
  const full = { code: "mempool/full" };
  const byCount = mempool({ maxTxs: 1 }).pool;
  await byCount.add(bytes("a"));
  await expect(byCount.add(bytes("b"))).rejects.toMatchObject(full);
  const byBytes = mempool({ maxTotalBytes: 4 }).pool;
  await byBytes.add(bytes("abc"));
  await expect(byBytes.add(bytes("de"))).rejects.toMatchObject(full);
  const { pool, checked } = mempool();
  await expect(pool.add(new Uint8Array(99))).rejects.toMatchObject({ code: "mempool/tx-too-large" });
  pool.setBlockLimits({ maxBytes: 100n, maxGas: 0n });
  await expect(pool.add(bytes("a"))).rejects.toMatchObject({ code: "mempool/too-much-gas" });
  await expect(pool.add(bytes("a"))).rejects.toMatchObject({ code: "mempool/too-much-gas" });
  expect(checked).toEqual(["0:a", "0:a"]);
  expect(pool.size).toBe(0);
  await expect(mempool({ maxTxBytes: 2 }).pool.add(bytes("abc"))).rejects.toMatchObject({
    code: "mempool/tx-too-large",
  });
});

test("the memory of what was seen is bounded: the oldest is forgotten", async () => {
  const { pool } = mempool({ cacheSize: 2 });
  for (const tx of ["a", "b", "c"]) await pool.add(bytes(tx));
  await pool.update([bytes("a"), bytes("b"), bytes("c")], [true, true, true]);
  expect((await pool.add(bytes("c"))).code).toBe(19);
  expect((await pool.add(bytes("a"))).code).toBe(0);
});
