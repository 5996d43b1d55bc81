import type { comet38 } from "@cosmjs/tendermint-rpc";
import { toBase64 } from "@karat/common";
import { expect } from "vitest";
import { type Checks, failureOf, type Suite, send, signed, untilHeight } from "./context.ts";

/** The first values of a stream, which is left then: CosmJS unsubscribes. */
function first<T>(
  stream: {
    subscribe(listener: { next(value: T): void; error(error: unknown): void }): { unsubscribe(): void };
  },
  count: number,
): { values: Promise<T[]>; stop(): void } {
  const { promise, resolve, reject } = Promise.withResolvers<T[]>();
  const values: T[] = [];
  const subscription = stream.subscribe({
    next(value) {
      if (values.length === count) return;
      values.push(value);
      if (values.length === count) {
        resolve(values);
        // Not inside the first call, where the subscription is not there yet.
        queueMicrotask(() => subscription.unsubscribe());
      }
    },
    error: reject,
  });
  return { values: promise, stop: () => subscription.unsubscribe() };
}

const broadcast = async (suite: Suite, amount: number): Promise<Uint8Array> => {
  const tx = await signed(suite, [send(suite.alice, suite.bob, amount)], { memo: `event ${amount}` });
  expect((await suite.comet.broadcastTxCommit({ tx })).txResult?.code).toBe(0);
  return tx;
};

/** Subscriptions, which need a websocket. */
export const eventChecks: Checks = (_, check) => {
  check("NewBlock", async ({ comet }) => {
    const [one, two] = await first(comet.subscribeNewBlock(), 2).values;
    expect(two!.header.height).toBe(one!.header.height + 1);
  });
  check("NewBlockHeader", async ({ comet }) => {
    const [one, two] = await first(comet.subscribeNewBlockHeader(), 2).values;
    expect(two!.height).toBe(one!.height + 1);
  });
  check("Tx", async (suite) => {
    const seen = first(suite.comet.subscribeTx(), 1);
    const tx = await broadcast(suite, 41);
    const [event] = await seen.values;
    expect([toBase64(event!.tx), event!.result.code]).toEqual([toBase64(tx), 0]);
    expect(event!.result.events.map(({ type }) => type)).toContain("transfer");
  });
  check("Tx that a filter chooses", async (suite) => {
    const seen = first<comet38.TxEvent>(suite.comet.subscribeTx(`transfer.amount='43ukarat'`), 1);
    await broadcast(suite, 42);
    const wanted = await broadcast(suite, 43);
    expect((await seen.values).map(({ tx }) => toBase64(tx))).toEqual([toBase64(wanted)]);
  });
  check("after unsubscribing nothing comes, and one can subscribe again", async (suite) => {
    const heights: number[] = [];
    const subscription = suite.comet
      .subscribeNewBlockHeader()
      .subscribe({ next: ({ height }) => heights.push(height) });
    await untilHeight(suite, (await suite.direct.getHeight()) + 2);
    subscription.unsubscribe();
    // What was on its way has come with the answer to another call.
    await suite.comet.health();
    const count = heights.length;
    expect(count).toBeGreaterThan(0);
    await untilHeight(suite, (await suite.direct.getHeight()) + 2);
    expect(heights).toHaveLength(count);
    expect(await first(suite.comet.subscribeNewBlockHeader(), 1).values).toHaveLength(1);
  });
};

export const noEventChecks: Checks = (_, check) => {
  check("subscriptions need a websocket", async ({ comet }) =>
    expect((await failureOf(Promise.resolve().then(() => comet.subscribeNewBlock()))).message).toContain(
      "cannot subscribe",
    ),
  );
};
