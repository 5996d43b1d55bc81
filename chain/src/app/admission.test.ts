import { describe, expect, test } from "vitest";
import { SDK } from "./errors.ts";
import { AppHarness, coreComposition, type Signer, sendMessage } from "./testing/index.ts";

const NEW = 0;
const RECHECK = 1;
const SHARES = { fee: 6, signer: 4 };

/** client0 is registered for the protocol lane, with transfers as its records. */
function newHarness(): AppHarness {
  const protocolSigners = [new AppHarness({ clients: 1, composition: coreComposition() }).clients[0]!.address];
  return new AppHarness({
    clients: 4,
    mempool: SHARES,
    composition: coreComposition({ protocolSigners, protocolTypeUrls: ["/cosmos.bank.v1beta1.MsgSend"] }),
  });
}

const kindOf = ({ code, codespace }: { code: number; codespace: string }) => ({ code, codespace });
const OK = { code: 0, codespace: "" };

describe("a mempool", () => {
  const harness = newHarness();
  const [records, a, b, c] = harness.clients as [Signer, Signer, Signer, Signer];
  const flood = (from: Signer, count: number): Uint8Array[] =>
    Array.from({ length: count }, () => harness.tx(from, sendMessage(from, c, 1n), { gasLimit: 100_000n }));
  const check = (tx: Uint8Array, type = NEW) => kindOf(harness.app.checkTx({ tx, type }));
  const waiting: Uint8Array[] = [];

  test("takes no more from one signer than its share", () => {
    const txs = flood(a, SHARES.signer + 1);
    expect(txs.map((tx) => check(tx))).toEqual([...Array(SHARES.signer).fill(OK), SDK.mempoolFull]);
    waiting.push(...txs.slice(0, -1));
  });

  test("takes no more that pays than the share of that lane, and records all the same", () => {
    const txs = flood(b, SHARES.fee - SHARES.signer + 1);
    expect(txs.map((tx) => check(tx))).toEqual([OK, OK, SDK.mempoolFull]);
    waiting.push(...txs.slice(0, 2));
    const free = harness.tx(records, sendMessage(records, a, 1n), { free: true, gasLimit: 100_000n });
    expect(check(free)).toEqual(OK);
  });

  test("has room again for what was refused when a block has taken the others; what still waits is never refused", () => {
    const [refused] = flood(c, 1);
    expect(check(refused!)).toEqual(SDK.mempoolFull);
    harness.deliver(waiting.slice(0, 1));
    for (const tx of waiting.slice(1)) expect(check(tx, RECHECK)).toEqual(OK);
    expect(check(refused!)).toEqual(OK);
  });
});
