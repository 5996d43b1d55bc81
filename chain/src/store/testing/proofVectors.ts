/**
 * Writes test/vectors/iavl-store-proofs.json and journal-store-proofs.json: proofs of this store for the verifier in @karat/client, which may not
 * import the chain. `proofVectors.test.ts` fails when the store no longer gives them.
 */
import { writeFileSync } from "node:fs";
import { toHex, utf8 } from "@karat/common";
import { compareBytes } from "../bytes.ts";
import { MemoryCommitStore } from "../memory.ts";
import type { Change } from "../types.ts";

export const VECTORS_FILE = new URL("../../../../test/vectors/iavl-store-proofs.json", import.meta.url);

export const JOURNAL_VECTORS_FILE = new URL("../../../../test/vectors/journal-store-proofs.json", import.meta.url);

/** Every entry of two journaled stores after blocks of 0 to 9 writes, and of `beta` two blocks before. */
export function journalVectors() {
  const names = ["alpha", "beta", "bank"];
  const store = new MemoryCommitStore({ names, journaled: ["alpha", "beta"], journalWindow: 8 });
  for (let height = 1n; height <= 20n; height++) {
    const of = (name: string): readonly [string, Change[]] => [
      name,
      Array.from({ length: Number(height * 7n) % 10 }, (_, i): Change => {
        const key = utf8(`k${String((Number(height) * 3 + i * 5) % 22).padStart(2, "0")}`);
        return [key, i % 4 === 3 ? undefined : utf8(`${name} ${height} ${i}`)];
      }).sort(([a], [b]) => compareBytes(a, b)),
    ];
    store.stage(height, new Map(names.map(of)));
    store.commit();
  }
  const claims = [20n, 18n].map((height) => {
    const every = ["alpha", "beta"].flatMap((name) =>
      Array.from(store.readerAt(name, height).iterate(), ([key]) => [name, key] as const),
    );
    return {
      appHash: toHex(store.treesAt(height).appHash),
      claims: every.map(([name, key]) => claimOf(store, name, key, height)),
    };
  });
  const about = "Proofs of entries of journaled stores by chain/src/store, at two heights, for the ICS-23 verifier.";
  return { about, heights: claims };
}

function claimOf(store: MemoryCommitStore, name: string, key: Uint8Array, height: bigint) {
  const { value, proofOps } = store.prove(name, key, height);
  const ops = proofOps.map((op) => ({ type: op.type, key: toHex(op.key), data: toHex(op.data) }));
  return { store: name, key: toHex(key), value: value === undefined ? null : toHex(value), ops };
}

export function proofVectors() {
  const store = new MemoryCommitStore({ names: ["auth", "bank", "empty", "few", "inference", "params"] });
  for (let height = 1n; height <= 12n; height++) {
    store.stage(height, new Map(["auth", "bank", "inference"].map((name) => [name, writes(name, Number(height))])));
    store.commit();
  }
  store.stage(13n, new Map([["params", [[utf8("only"), new Uint8Array(0)]]]]));
  store.commit();
  for (let height = 14n; height <= 18n; height++) {
    const few = [0, 1, 2].map((i): Change => [utf8(`e${(Number(height) * 3 + i) % 14}`), utf8(`${height}`)]);
    store.stage(height, new Map([["few", few]]));
    store.commit();
  }
  const wanted: [string, string][] = [
    ["auth", "k5"],
    ["bank", "k11"],
    ["inference", "k0"],
    ["inference", "k45x"],
    ["auth", "a"],
    ["bank", "z"],
    ["params", "only"],
    ["params", "none"],
    ["params", "p"],
    ["empty", "k1"],
  ];
  const every = Array.from(store.reader("few").iterate(), ([key]) => ["few", new TextDecoder().decode(key)] as const);
  const claims = [...wanted, ...every].map(([name, key]) => claimOf(store, name, utf8(key), store.height()));
  const about =
    "Proofs of existence (value in hex) and absence (value null) by chain/src/store, for the ICS-23 verifier. Of the store few: every entry.";
  return { about, appHash: toHex(store.appHash()), claims };
}

function writes(name: string, height: number): Change[] {
  const changes = new Map<string, Change>();
  for (let i = 0; i < 40; i++) {
    const key = `k${(height * 7 + i * i) % 90}`;
    changes.set(key, [utf8(key), (height + i) % 5 === 4 && i > 0 ? undefined : utf8(`${name} ${height} ${i}`)]);
  }
  return [...changes.values()].sort(([a], [b]) => compareBytes(a, b));
}

if (import.meta.main) {
  writeFileSync(VECTORS_FILE, `${JSON.stringify(proofVectors(), null, 1)}\n`);
  writeFileSync(JOURNAL_VECTORS_FILE, `${JSON.stringify(journalVectors(), null, 1)}\n`);
}
