import { describe, expect, test, vi } from "vitest";
import { finish, keyOf, recordsToTest, settled, shortOf, start } from "../testing/recordPipeline.ts";

const records = recordsToTest();

describe("exactly once", () => {
  test("when the process dies between outbox and broadcast", async () => {
    records.sender.loseBroadcast = true;
    const first = records.pipeline();
    first.outbox.add(start(1));
    await vi.waitFor(() => expect(first.outbox.get(keyOf("start", 1))?.tx).toBeDefined(), 5_000);
    await records.stop(first);
    records.sender.loseBroadcast = false;
    records.sender.height += 1n;
    const second = records.pipeline();
    await vi.waitFor(() => expect(second.outbox.get(keyOf("start", 1))?.notBefore).toBe(102n), 5_000);
    expect(records.sender.transactions).toBe(0); // it may be about to get in
    records.sender.height += 1n;
    await settled(second);
    expect(records.sender.recorded).toEqual([shortOf(keyOf("start", 1))]);
    expect(records.sender.transactions).toBe(1);
  });

  test("when it dies between broadcast and answer", async () => {
    records.sender.loseAnswer = true;
    const first = records.pipeline();
    first.outbox.add(start(1));
    await vi.waitFor(() => expect(records.sender.transactions).toBe(1), 5_000);
    await records.stop(first);
    records.sender.loseAnswer = false;
    records.sender.height += 1n;
    await settled(records.pipeline());
    expect(records.sender.transactions).toBe(1);
    expect(records.sender.recorded).toEqual([shortOf(keyOf("start", 1))]);
  });

  test("when it dies while it notes the results of a transaction", async () => {
    records.sender.loseAnswer = true;
    const first = records.pipeline();
    await Promise.all([first.outbox.add(start(1)), first.outbox.add(start(2)), first.outbox.add(finish(1))]);
    await vi.waitFor(() => expect(records.sender.transactions).toBe(1), 5_000);
    await vi.waitFor(() => expect(first.outbox.get(keyOf("finish", 1))?.tx?.index).toBe(2), 5_000);
    for (const n of [1, 2]) await first.outbox.remove(keyOf("start", n));
    await records.stop(first);
    records.sender.loseAnswer = false;
    records.sender.height += 1n;
    const second = records.pipeline();
    await settled(second);
    expect(second.outbox.deadCount).toBe(0);
    expect(records.sender.transactions).toBe(1);
  });

  test("when it dies before anything was signed", async () => {
    const first = records.pipeline();
    await first.relay.close();
    first.outbox.add(start(1));
    await records.stop(first);
    await settled(records.pipeline());
    expect(records.sender.recorded).toEqual([shortOf(keyOf("start", 1))]);
  });
});
