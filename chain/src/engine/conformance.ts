import { afterAll, beforeAll, describe, expect } from "vitest";
import type { RunningEngine } from "./abci.ts";
import { blocksConformance } from "./conformance/blocks.ts";
import { searchConformance } from "./conformance/search.ts";
import { subscriptionsConformance } from "./conformance/subscriptions.ts";
import { b64, eventually, type Target, type TxReply } from "./conformance/target.ts";
import { transactionsConformance } from "./conformance/transactions.ts";
import { transportConformance } from "./conformance/transport.ts";
import { rpc } from "./testing/rpc-client.ts";

export { CONFORMANCE_CHAIN } from "./conformance/target.ts";

/** The suite every consensus engine passes, over the wire only, with the key-value test application behind it. */
export function engineConformance(name: string, start: () => Promise<RunningEngine>): void {
  describe(`${name} serves CometBFT's RPC`, () => {
    let engine: RunningEngine;
    let target: Target;

    beforeAll(async () => {
      engine = await start();
      const url = engine.rpcUrl;
      const sent = (await rpc(url, "broadcast_tx_commit", { tx: b64("colour=blue") })).result as TxReply;
      const hash = Buffer.from(sent.hash, "hex").toString("base64");
      const tx = await eventually(async () => {
        const { result } = await rpc(url, "tx", { hash, prove: true });
        expect(result).toBeDefined();
        return result as TxReply;
      });
      target = { url, tx };
    });
    afterAll(async () => engine?.stop());

    transactionsConformance(() => target);
    searchConformance(() => target);
    transportConformance(() => target);
    subscriptionsConformance(() => target);
    // Last, for it changes the validator set and the parameters.
    blocksConformance(() => target);
  });
}
