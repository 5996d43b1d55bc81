import { silentLogger, toHex } from "@karat/common";
import { GetTxRequest, GetTxResponse } from "cosmjs-types/cosmos/tx/v1beta1/service";
import type { ExecTxResult } from "cosmjs-types/tendermint/abci/types";
import { expect, test } from "vitest";
import { MemoryCommitStore } from "../../store/index.ts";
import { createKaratApp, STORE_NAMES } from "../compose.ts";
import { SDK } from "../errors.ts";
import { AppHarness, coreComposition, type Signer, sendMessage } from "../testing/index.ts";

const GET_TX = "/cosmos.tx.v1beta1.Service/GetTx";
const query = (hash: string) => ({
  path: GET_TX,
  data: GetTxRequest.encode({ hash }).finish(),
  height: 0n,
  prove: false,
});

test("GetTx shows what the engine's index has", () => {
  const harness = new AppHarness({ clients: 2, composition: coreComposition() });
  const [from, to] = harness.clients as [Signer, Signer];
  const tx = harness.tx(from, sendMessage(from, to, 1n), { memo: "hello" });
  const { results, height } = harness.deliver([tx]);
  const hash = new Uint8Array(32).fill(5);
  const known = new Map<string, { height: bigint; tx: Uint8Array; result: ExecTxResult }>([
    [toHex(hash), { height, tx, result: results[0]! }],
  ]);
  const app = createKaratApp({
    store: harness.store,
    log: silentLogger,
    composition: coreComposition(),
    txIndex: { get: (wanted) => known.get(toHex(wanted)) },
  });
  const answer = app.query(query(toHex(hash).toUpperCase()));
  expect(answer.code).toBe(0);
  const { tx: shown, txResponse } = GetTxResponse.decode(answer.value);
  expect(shown?.body?.memo).toBe("hello");
  expect(txResponse).toMatchObject({
    height,
    code: 0,
    gasUsed: results[0]!.gasUsed,
    txhash: toHex(hash).toUpperCase(),
  });
  expect(app.query(query("00".repeat(32))).code).toBe(SDK.keyNotFound.code);
  expect(app.query(query("zz")).code).toBe(SDK.invalidRequest.code);
});

test("without an index GetTx is no known path", () => {
  const store = new MemoryCommitStore({ names: STORE_NAMES });
  const app = createKaratApp({ store, log: silentLogger, composition: coreComposition() });
  expect(app.query(query("00".repeat(32))).code).toBe(SDK.unknownRequest.code);
});
