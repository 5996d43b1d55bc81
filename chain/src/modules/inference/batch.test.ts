import { describe, expect, test } from "vitest";
import { ChainError, SDK } from "../../app/errors.ts";
import type { Context } from "../../app/module.ts";
import { isolated } from "../support/isolated.ts";
import { errorOf, TestChain } from "../testing/context.ts";
import { runRecords } from "./batch.ts";
import { ERRORS } from "./errors.ts";

const chain = new TestChain();
const [key, value] = [Uint8Array.of(1), Uint8Array.of(2)];
const run = (records: readonly string[], act: (ctx: Context, record: string) => string) =>
  runRecords(chain.ctx, records, () => key, act);

describe("a record", () => {
  test("that is refused half way takes back what it wrote and what it told", () => {
    const results = run(["bad", "good"], (ctx, record) => {
      ctx.store("here").set(key, value);
      ctx.emit("written", { record });
      if (record === "bad") throw new ChainError(ERRORS.wrongSender, "no");
      return "yes";
    });
    expect(results.map(({ code, log }) => [code, log])).toEqual([
      [ERRORS.wrongSender.code, "no"],
      [0, "yes"],
    ]);
    expect(chain.eventsOf("written")).toEqual([{ record: "good" }]);
    expect(run(["bad"], refuseAfterDelete)).toMatchObject([{ code: ERRORS.wrongSender.code }]);
    expect(chain.ctx.store("here").get(key)).toEqual(value);
  });

  test("sees what those before it wrote", () => {
    run(["a", "b"], (ctx, record) => {
      const store = ctx.store("list");
      store.set(Uint8Array.of(store.has(key) ? 2 : 1), Uint8Array.of(record.length));
      return "";
    });
    expect([...chain.ctx.store("list").iterate()]).toHaveLength(2);
  });

  test("does not swallow what is not its own fault", () => {
    const outOfGas = () => {
      throw new ChainError(SDK.outOfGas, "limit");
    };
    expect(errorOf(() => run(["a"], outOfGas))).toEqual(SDK.outOfGas);
    const bug = () => {
      throw new TypeError("bug");
    };
    expect(() => run(["a"], bug)).toThrow(TypeError);
  });
});

test("an isolated run returns its result and keeps the context's height and chain", () => {
  const seen = isolated(chain.ctx, (ctx) => [ctx.chainId, ctx.height]);
  expect(seen).toEqual([chain.chainId, chain.height]);
});

function refuseAfterDelete(ctx: Context): string {
  ctx.store("here").delete(key);
  throw new ChainError(ERRORS.wrongSender, "no");
}
