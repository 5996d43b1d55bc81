import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { answerStore } from "../storage/answerStore.ts";
import { openDatabase } from "../storage/database.ts";
import { IdempotentAnswers, type WholeAnswer } from "./idempotency.ts";

const answer = (body: string): WholeAnswer => ({ headers: {}, body });
const asked = (key: string, body = "request", client = "karat1a") => ({ client, key, body });

describe("an idempotency key", () => {
  test("gives the same answer for the same request, also while the first one runs", async () => {
    const answers = new IdempotentAnswers();
    let made = 0;
    const make = async () => answer(String(++made));
    const both = await Promise.all([answers.get(asked("k"), make), answers.get(asked("k"), make)]);
    expect(both.map(({ body }) => body)).toEqual(["1", "1"]);
    expect((await answers.get(asked("k"), make)).body).toBe("1");
    expect((await answers.get(asked("k", "request", "karat1b"), make)).body).toBe("2");
  });

  test("gives the same answer after a restart, until its time is over", async () => {
    const directory = mkdtempSync(join(tmpdir(), "karat-answers-"));
    let now = 1_000;
    let made = 0;
    const make = async () => answer(String(++made));
    const run = async (key: string): Promise<string> => {
      const database = openDatabase(directory);
      try {
        const answers = new IdempotentAnswers({ store: answerStore(database), keepMs: 100, now: () => now });
        return (await answers.get(asked(key), make)).body;
      } finally {
        await database.close();
      }
    };
    const long = "k".repeat(255);
    expect([await run(long), await run(long), await run("other")]).toEqual(["1", "1", "2"]);
    now += 100;
    expect(await run(long)).toBe("3");
    const database = openDatabase(directory);
    expect([...answerStore(database).load()].map(([at]) => at)).toEqual([`karat1a/${long}`]);
    await database.close();
    rmSync(directory, { recursive: true });
  });

  test("whose request ran when the process ended is refused at once: it may have been charged, and does not run twice", async () => {
    const directory = mkdtempSync(join(tmpdir(), "karat-answers-"));
    const first = openDatabase(directory);
    const running = new IdempotentAnswers({ store: answerStore(first) });
    const begun = Promise.withResolvers<void>();
    const never = new Promise<WholeAnswer>(() => undefined);
    void running.get(asked("k"), () => {
      begun.resolve();
      return never;
    });
    await begun.promise;
    const failing = running.get(asked("failed"), () => Promise.reject(new Error("no")));
    await expect(failing).rejects.toThrow("no");
    await first.close();
    const second = openDatabase(directory);
    const answers = new IdempotentAnswers({ store: answerStore(second) });
    let made = 0;
    const make = async () => answer(String(++made));
    await expect(answers.get(asked("k"), make)).rejects.toMatchObject({ code: "request_interrupted" });
    await expect(answers.get(asked("k", "other"), make)).rejects.toMatchObject({ code: "idempotency_mismatch" });
    expect((await answers.get(asked("failed"), make)).body).toBe("1");
    await second.close();
    rmSync(directory, { recursive: true });
  });

  test("is refused for another request", async () => {
    const answers = new IdempotentAnswers();
    await answers.get(asked("k"), async () => answer("1"));
    const other = answers.get(asked("k", "other"), async () => answer("2"));
    await expect(other).rejects.toMatchObject({ code: "idempotency_mismatch" });
  });

  test("of a request that failed is free again", async () => {
    const answers = new IdempotentAnswers();
    await expect(answers.get(asked("k"), () => Promise.reject(new Error("no")))).rejects.toThrow("no");
    expect((await answers.get(asked("k"), async () => answer("1"))).body).toBe("1");
  });

  test("is forgotten after its time, and when there is no more room", async () => {
    let now = 0;
    const answers = new IdempotentAnswers({ keepMs: 10, maxAnswers: 2, maxBytes: 6, now: () => now });
    let made = 0;
    const get = async (key: string) => (await answers.get(asked(key), async () => answer(`${++made}..`))).body;
    expect([await get("a"), await get("b"), await get("a")]).toEqual(["1..", "2..", "1.."]);
    await get("c");
    expect(await get("a")).toBe("4..");
    now = 10;
    expect(await get("a")).toBe("5..");
  });
});
