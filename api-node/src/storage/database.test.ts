import { appendFileSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { openDatabase } from "./database.ts";
import { type Put, WriteLog } from "./writeLog.ts";

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "karat-database-"));
});
afterEach(() => rmSync(directory, { recursive: true }));

const put = (key: string, value: unknown): Put => ({ database: "things", key, value });
const logged = (): number =>
  ["writes-0.log", "writes-1.log"].reduce((sum, name) => sum + readFileSync(join(directory, name)).length, 0);

test("what was logged is in the database after a crash at any moment, in its newest form", async () => {
  const first = openDatabase(directory);
  const things = first.open<unknown>("things");
  const values = Array.from({ length: 50 }, (_, i) => ({ at: BigInt(i), bytes: Uint8Array.of(i) }));
  for (const [i, value] of values.entries()) {
    void first.log([put("last", value), put(`each-${i}`, value)]);
    if (i === 20) await things.put("waited for", true);
    if (i === 30) first.now();
  }
  // Without closing the first: as if it had been killed.
  const second = openDatabase(directory);
  const after = second.open<{ at: bigint; bytes: Uint8Array }>("things");
  expect(after.get("last")).toMatchObject({ at: 49n });
  expect(values.every((_, i) => after.get(`each-${i}`)?.at === BigInt(i))).toBe(true);
  await first.close();
  await second.close();
});

test("the log is emptied when the database has what it held, without anything further being written", async () => {
  const database = openDatabase(directory);
  const done = [1, 2, 3].map((n) => database.log([put(`key-${n}`, n)]));
  expect(logged()).toBeGreaterThan(0);
  await Promise.all(done);
  expect(database.open("things").get("key-3")).toBe(3);
  void database.log([put("key-4", 4)]); // perhaps while the other file is being emptied
  await vi.waitFor(() => expect(logged()).toBe(0));
  await database.close();
});

test("of a log whose end was cut off, everything before is read", () => {
  const log = new WriteLog(directory);
  log.append([put("a", 1)]);
  log.turn();
  log.append([put("b", 2)]);
  log.close();
  appendFileSync(join(directory, "writes-1.log"), Buffer.from([200, 0, 0, 0, 1, 2]));
  const again = new WriteLog(directory);
  expect(again.left).toEqual([put("a", 1), put("b", 2)]);
  again.clear();
  again.close();
  expect(logged()).toBe(0);
});
