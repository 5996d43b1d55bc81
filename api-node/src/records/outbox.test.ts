import { describe, expect, test } from "vitest";
import { openDatabase } from "../storage/database.ts";
import { finish, keyOf, recordsToTest, start } from "../testing/recordPipeline.ts";
import { Outbox } from "./outbox.ts";

const records = recordsToTest();

describe("the outbox", () => {
  test("has what was added when its process dies the moment after, as it was by then", async () => {
    const first = openDatabase(records.directory);
    const outbox = new Outbox(first);
    outbox.add({ ...start(1), notBefore: 9n });
    outbox.add({ ...start(1), notBefore: 5n });
    expect(new Outbox(first).size).toBe(0); // LMDB does not have it yet
    const second = openDatabase(records.directory);
    expect(new Outbox(second).get(keyOf("start", 1))).toMatchObject({ notBefore: 5n, deadlineHeight: 1_000n });
    await first.close();
    await second.close();
  });

  test("has nothing of what was removed before LMDB had it", async () => {
    const database = openDatabase(records.directory);
    const outbox = new Outbox(database);
    outbox.add(start(1));
    await outbox.remove(keyOf("start", 1));
    await database.close();
    const again = openDatabase(records.directory);
    expect(new Outbox(again).size).toBe(0);
    await again.close();
  });

  test("of a delivery that was resolved and lost with the process asks the chain again", async () => {
    const database = openDatabase(records.directory);
    const outbox = new Outbox(database);
    outbox.add({ ...finish(1), kind: "delivery", awaits: "finish" });
    await outbox.resolve(keyOf("delivery", 1), true);
    expect(outbox.get(keyOf("delivery", 1))).toMatchObject({ agrees: true });
    await database.close();
    const again = openDatabase(records.directory);
    expect([...new Outbox(again).pending()]).toMatchObject([{ awaits: "finish" }]);
    await again.close();
  });
});
