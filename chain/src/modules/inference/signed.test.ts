import { inference } from "@karat/proto";
import { expect, test } from "vitest";
import { TestChain } from "../testing/context.ts";
import type { BatchReads } from "./batchReads.ts";
import { openStart } from "./signed.ts";

const KEYS = [new Uint8Array(33).fill(2), new Uint8Array(33).fill(3)];
const entry = (nonce = 1) =>
  inference.StartEntry.fromPartial({ client: 1n, requestHash: new Uint8Array(32), nonce: Uint8Array.of(nonce) });
const term = () => inference.Terms.fromPartial({ model: 1, maxOutputTokens: 8 });

/** What opening depends on beside the entry. */
const USUAL = { chainId: "one", sender: "agent", address: "client", key: KEYS[0]!, model: "m", baseHeight: 9n };

test("an entry that was opened before is opened to the same id, and to another wherever a name is another now", () => {
  const [start, message] = [entry(), { terms: [term()] }];
  const idOf = (changed: Partial<typeof USUAL>, from = start, terms = message.terms) => {
    const { chainId, sender, address, key, model, baseHeight } = { ...USUAL, ...changed };
    const reads = { account: () => ({ address, publicKey: key }), model: () => model } as unknown as BatchReads;
    const ctx = new TestChain({ chainId }).ctx;
    return String(openStart(ctx, reads, sender, { baseHeight, terms }, from).id);
  };
  const changes: Partial<typeof USUAL>[] = [
    { chainId: "two" },
    { sender: "other" },
    { address: "another" },
    { key: KEYS[1]! },
    { model: "n" },
    { baseHeight: 10n },
  ];
  const usual = idOf({});
  expect(idOf({})).toBe(usual);
  const ids = changes.map((changed) => idOf(changed));
  expect(ids).toEqual(changes.map((changed) => idOf(changed, entry(), [term()])));
  expect(new Set([usual, ...ids]).size).toBe(changes.length + 1);
  expect(idOf({}, start, [{ ...term(), maxOutputTokens: 9 }])).not.toBe(usual);
  expect(idOf({})).toBe(usual);
});
