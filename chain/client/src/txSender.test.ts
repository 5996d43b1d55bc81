import { KaratError, silentLogger } from "@karat/common";
import { TxBody, TxRaw } from "cosmjs-types/cosmos/tx/v1beta1/tx";
import { expect, test } from "vitest";
import type { ChainClient } from "./chainClient.ts";
import { TxSender } from "./txSender.ts";

const TIMEOUT_HEIGHT = 30;
const timeoutOf = (tx: Uint8Array) => TxBody.decode(TxRaw.decode(tx).bodyBytes).timeoutHeight;

/** A chain at `height` that puts what is not too late for `blocks` more into a block. */
function chainAt(height: bigint, blocks = 0n) {
  const broadcast: bigint[] = [];
  const result = { codespace: "", log: "", data: new Uint8Array(), bytes: new Uint8Array(), events: [] };
  const late = (tx: bigint, at: bigint) => (at > tx ? { ...result, code: TIMEOUT_HEIGHT, codespace: "sdk" } : result);
  const client = {
    chainId: "karat-1",
    status: async () => ({ height }),
    query: { account: async () => ({ accountNumber: 1n, sequence: 0n }) },
    broadcast: async (tx: Uint8Array) => {
      broadcast.push(timeoutOf(tx));
      return { code: 0, ...late(timeoutOf(tx), height + 1n) };
    },
    tx: async (hash: string) => ({ hash, height, code: 0, ...late(broadcast.at(-1)!, height + blocks) }),
  };
  return { client: client as unknown as ChainClient, broadcast };
}

const senderOn = (client: ChainClient, follows: bigint) => {
  const follower = { height: () => follows, nextBlock: async () => undefined };
  return new TxSender({ client, privateKey: new Uint8Array(32).fill(1), log: silentLogger, follower });
};

test("a sender that follows some blocks behind signs anew for the height that the chain is at", async () => {
  const { client, broadcast } = chainAt(100n);
  const sent = await senderOn(client, 90n).send([], { timeoutBlocks: 5n });
  expect([sent.code, broadcast]).toEqual([0, [95n, 105n]]);
});

test("a transaction that comes into a block behind its timeout height has expired, and is not refused for what it says", async () => {
  const { client } = chainAt(100n, 6n);
  const sending = senderOn(client, 100n).send([], { timeoutBlocks: 5n });
  await expect(sending).rejects.toMatchObject({ code: "tx_expired" });
  await expect(sending).rejects.toBeInstanceOf(KaratError);
});
