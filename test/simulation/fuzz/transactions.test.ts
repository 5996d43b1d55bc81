/** Transactions that are almost right, on two replicas in the middle of a busy chain. */
import { createHash } from "node:crypto";
import { sha256, signDigest } from "@karat/common";
import { PubKey } from "cosmjs-types/cosmos/crypto/secp256k1/keys";
import { SignMode } from "cosmjs-types/cosmos/tx/signing/v1beta1/signing";
import { AuthInfo, SignDoc, TxBody, TxRaw } from "cosmjs-types/cosmos/tx/v1beta1/tx";
import { Any } from "cosmjs-types/google/protobuf/any";
import { afterAll, beforeAll, expect, test } from "vitest";
import { composeModules, STORES } from "../../../chain/src/app/compose.ts";
import { SDK } from "../../../chain/src/app/errors.ts";
import type { Signer } from "../../../chain/src/app/testing/index.ts";
import { accountKeeper, SECP256K1_TYPE_URL } from "../../../chain/src/modules/auth/index.ts";
import {
  chunkHash,
  exportSnapshot,
  MemoryCommitStore,
  SnapshotImport,
  snapshotOffer,
  type TreeCommitStore,
} from "../../../chain/src/store/index.ts";
import { follow } from "../coverage.ts";
import { nextMempool } from "../operations/index.ts";
import { Pair } from "../pair.ts";
import { Random } from "../random.ts";
import { Replica } from "../replica.ts";
import { World } from "../world.ts";
import { mutate } from "./mutate.ts";

const BUSY_BLOCKS = 40;
/** A message that no traffic contains any more must fail the test, not hang it. */
const BLOCKS_AT_MOST = 600;
const LIMIT_MS = 600_000;

const random = new Random("fuzz");
const world = new World("karat-fuzz", random);
/** Accepted transactions by the type of their first message. */
const corpus = new Map<string, Uint8Array[]>();
let pair: Pair;

function begin(): void {
  world.begin(pair.memory.context(), pair.memory.next);
}

beforeAll(async () => {
  pair = await Pair.open({
    chainId: world.chainId,
    seed: "fuzz",
    initialHeight: 1n,
    appState: world.appState(),
    honestValidators: true,
  });
  // What only governance carries out never comes in a transaction that is accepted.
  const wanted = composeModules().modules.flatMap(({ messages = {} }) =>
    Object.entries(messages).flatMap(([typeUrl, { codec }]) =>
      "authority" in (codec.decode(new Uint8Array()) as object) ? [] : [typeUrl],
    ),
  );
  const missing = () => wanted.filter((typeUrl) => !corpus.has(typeUrl));
  for (let i = 0; i < BUSY_BLOCKS || missing().length > 0; i++) {
    if (i === BLOCKS_AT_MOST) throw new Error(`never accepted: ${missing().join(", ")}`);
    begin();
    const block = pair.execute(i === 0 ? [] : nextMempool(world), random);
    follow(world, block);
    for (const [at, tx] of block.txs.entries()) {
      if (block.response.txResults[at]!.code === 0) collect(tx);
    }
  }
}, LIMIT_MS);

afterAll(() => pair?.close());

function collect(tx: Uint8Array): void {
  const { typeUrl } = TxBody.decode(TxRaw.decode(tx).bodyBytes).messages[0]!;
  corpus.set(typeUrl, [...(corpus.get(typeUrl) ?? []).slice(-20), tx]);
}

const anyTx = (): Uint8Array => random.pick(corpus.get(random.pick([...corpus.keys()]))!);

test(
  "changed bytes are refused by every phase alike and leave no trace",
  () => {
    const refusals = new Set<string>();
    for (let round = 0; round < 25; round++) {
      const mutants = Array.from({ length: 60 }, () => mutate(random, anyTx(), anyTx()));
      const checked = mutants.map((tx) => pair.memory.app.checkTx({ tx, type: 0 }));
      for (const { code, codespace } of checked) {
        expect(code).not.toBe(0);
        refusals.add(`${codespace}/${code}`);
      }
      expect(refusals).not.toContain(`${SDK.logic.codespace}/${SDK.logic.code}`);
      const { memory } = pair;
      const empty = memory.app.finalizeBlock(memory.finalizeRequest([])).appHash;
      const { appHash, txResults } = memory.app.finalizeBlock(memory.finalizeRequest(mutants));
      expect(appHash).toEqual(empty);
      expect(txResults.map(({ code }) => code)).toEqual(checked.map(({ code }) => code));
      expect(memory.prepare(mutants)).toEqual([]);
      begin();
      expect(pair.execute(mutants, random).response.appHash).toEqual(empty);
    }
    expect(refusals.size).toBeGreaterThanOrEqual(3);
  },
  LIMIT_MS,
);

/** A transaction whose messages are these bytes, with a signature that holds. */
function signRaw(signer: Signer, messages: readonly Any[], free: boolean): Uint8Array {
  const account = accountKeeper.get(world.ctx, signer.address);
  const bodyBytes = TxBody.encode(TxBody.fromPartial({ messages: [...messages] })).finish();
  const publicKey = { typeUrl: SECP256K1_TYPE_URL, value: PubKey.encode({ key: signer.publicKey }).finish() };
  const amount = free ? [] : [{ denom: "ukarat", amount: "200000" }];
  const authInfoBytes = AuthInfo.encode(
    AuthInfo.fromPartial({
      signerInfos: [
        {
          publicKey,
          modeInfo: { single: { mode: SignMode.SIGN_MODE_DIRECT } },
          sequence: account?.sequence ?? 0n,
        },
      ],
      fee: { amount, gasLimit: 8_000_000n },
    }),
  ).finish();
  const accountNumber = account?.accountNumber ?? 0n;
  const doc = SignDoc.encode({ bodyBytes, authInfoBytes, chainId: world.chainId, accountNumber }).finish();
  return TxRaw.encode({ bodyBytes, authInfoBytes, signatures: [signDigest(sha256(doc), signer.privateKey)] }).finish();
}

/** A message of the corpus with changed bytes, signed by whoever signed the original. */
function signedMutant(): { signer: Signer; tx: Uint8Array } | undefined {
  const raw = TxRaw.decode(anyTx());
  const { messages } = TxBody.decode(raw.bodyBytes);
  const { signerInfos, fee } = AuthInfo.decode(raw.authInfoBytes);
  const { key } = PubKey.decode(signerInfos[0]!.publicKey!.value);
  const signer = world.signerOf(key);
  if (signer === undefined) return undefined;
  const other = TxBody.decode(TxRaw.decode(anyTx()).bodyBytes).messages[0]!;
  const bent = messages.map((message) =>
    Any.fromPartial({ typeUrl: message.typeUrl, value: mutate(random, message.value, other.value) }),
  );
  return { signer, tx: signRaw(signer, bent, fee?.amount.length === 0) };
}

test(
  "changed messages with good signatures: what is refused costs its fee and its sequence, nothing else",
  () => {
    let refused = 0;
    let executed = 0;
    for (let round = 0; round < 30; round++) {
      begin();
      // One for each signer: each has the sequence that is due.
      const bySigner = new Map<string, Uint8Array>();
      for (let i = 0; i < 40; i++) {
        const mutant = signedMutant();
        if (mutant !== undefined) bySigner.set(mutant.signer.address, mutant.tx);
      }
      const txs = [...bySigner.values()];
      const { memory } = pair;
      const { txResults } = memory.app.finalizeBlock(memory.finalizeRequest(txs));
      const failing = txs.filter((_, at) => txResults[at]!.code !== 0);
      const untouched = twin(memory);
      untouched.app.finalizeBlock(untouched.finalizeRequest([]));
      untouched.app.commit();
      const { response } = pair.execute(failing, random);
      expect(response.txResults.filter(({ code }) => code === 0)).toEqual([]);
      expect(digests(memory.store)).toEqual(digests(untouched.store));
      refused += failing.length;
      executed += txResults.filter(({ gasUsed }) => gasUsed > 0n).length;
    }
    expect(refused).toBeGreaterThan(150);
    // How many mutants reach their message hangs on the beacons, and so on every byte of state.
    expect(executed).toBeGreaterThan(15);
  },
  LIMIT_MS,
);

/** A replica of its own with the same state. */
function twin({ genesis, store }: Replica): Replica {
  const chunks = [...exportSnapshot(store, store.height())].map((chunk) => chunk.slice());
  const copy = new MemoryCommitStore(STORES);
  const load = new SnapshotImport(copy, snapshotOffer(store.height(), chunks.map(chunkHash)));
  for (const [index, chunk] of chunks.entries()) load.addChunk(index, chunk);
  load.finish(store.appHash());
  return new Replica(genesis, () => copy, true);
}

/** What lies in each store, but for sequences and balances: a refused transaction pays its fee. */
function digests(store: TreeCommitStore): Record<string, string> {
  const named = STORES.names
    .filter((name) => name !== "auth" && name !== "bank")
    .map((name) => {
      const hash = createHash("sha256");
      for (const [key, value] of store.reader(name).iterate()) hash.update(key).update("=").update(value).update(";");
      return [name, hash.digest("hex")] as const;
    });
  return Object.fromEntries(named);
}
