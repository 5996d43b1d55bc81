import { describe, expect, test } from "vitest";
import { ChainError, SDK } from "../../app/errors.ts";
import type { Context } from "../../app/module.ts";
import { Value } from "../../store/value.ts";
import { isolated } from "../support/isolated.ts";
import { errorOf, TestChain } from "../testing/context.ts";
import { runRecords } from "./batch.ts";
import { ERRORS } from "./errors.ts";

const chain = new TestChain();
const value = Value.encoded(Uint8Array.of(2));
const run = (records: readonly string[], act: (ctx: Context, record: string) => string) =>
  runRecords(chain.ctx, records, () => Uint8Array.of(1), act);

describe("a record", () => {
  test("that is refused half way takes back what it wrote and what it told", () => {
    const results = run(["bad", "good"], (ctx, record) => {
      ctx.store("here").put("key", value);
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
    expect(chain.ctx.store("here").value("key")).toBe(value);
  });

  test("sees what those before it wrote", () => {
    run(["a", "b"], (ctx, record) => {
      const store = ctx.store("list");
      store.put(store.value("first") === undefined ? "first" : record, value);
      return "";
    });
    expect(Array.from(chain.ctx.store("list").values(), ([key]) => key)).toEqual(["b", "first"]);
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
  ctx.store("here").put("key", undefined);
  throw new ChainError(ERRORS.wrongSender, "no");
}
