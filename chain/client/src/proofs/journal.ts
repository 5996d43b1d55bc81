/**
 * Entries of a journaled store. The chain keeps no tree of its entries: in the store `journal` it holds, for every block
 * that wrote an entry which is still current, the root of the RFC 6962 tree over the entries that it wrote, and a set of
 * bits that says which of them are current. So a proof has two levels, and says both that the entry was written
 * by that block and that it has not been overwritten or deleted since.
 */

import type { ExistenceProof } from "cosmjs-types/cosmos/ics23/v1/proofs";
import { decode, existenceRoot, expectEntry } from "./existence.ts";
import { iavlSpec, simpleSpec } from "./specs.ts";
import { type ProofOp, verifyStore } from "./store.ts";
import { concat, equalBytes, invalid } from "./support.ts";

const JOURNAL_STORE = "journal";
const ROOT = 0;
const LIVE = 1;
const HEIGHT_BYTES = 8;

export interface JournalClaim {
  /** The entry in the tree of its block (op `ics23:simple`). */
  entry: ProofOp;
  /**
   * That tree's root in the store of commitments (`ics23:iavl`, under name, 0x00, height, 0x00) and this store in the app
   * hash (`ics23:simple`), which end the chain that stock verifiers know; then the bits (`ics23:iavl`, under name,
   * 0x00, height, 0x01).
   */
  rest: readonly ProofOp[];
  storeName: string;
  key: Uint8Array;
  value: Uint8Array;
  appHash: Uint8Array;
}

/** Throws KaratError `invalid_proof`. */
export function verifyJournal({ entry, rest, storeName, key, value, appHash }: JournalClaim): void {
  const [root, store, live, ...more] = rest;
  if (root === undefined || store === undefined || live === undefined || more.length > 0) {
    throw invalid("a proof of a journaled store has four steps");
  }
  const leaf = decode(entry.data).exist;
  if (leaf === undefined) throw invalid("existence is not proven");
  expectEntry(leaf, key, value);
  const name = new TextEncoder().encode(storeName);
  const block = root.key.slice(name.length + 1, name.length + 1 + HEIGHT_BYTES);
  const keyOf = (kind: number): Uint8Array => concat(name, Uint8Array.of(0), block, Uint8Array.of(kind));
  const commitments = commitment(root, keyOf(ROOT), existenceRoot(simpleSpec, leaf)).root;
  const bits = commitment(live, keyOf(LIVE), undefined);
  if (!equalBytes(bits.root, commitments)) throw invalid("the steps are of different states");
  if (!isLive(bits.value, leaf)) throw invalid("the entry is not current any more");
  verifyStore(store, JOURNAL_STORE, commitments, appHash);
}

/** An entry of the store of commitments and the root of that store. */
function commitment(
  op: ProofOp,
  key: Uint8Array,
  value: Uint8Array | undefined,
): { value: Uint8Array; root: Uint8Array } {
  if (op.type !== "ics23:iavl" || key.length !== op.key.length || !equalBytes(op.key, key)) {
    throw invalid("the proof is of another block or store");
  }
  const { exist } = decode(op.data);
  if (exist === undefined) throw invalid("a block of the journal is not proven");
  expectEntry(exist, key, value ?? exist.value);
  return { value: exist.value, root: existenceRoot(iavlSpec, exist) };
}

/** The bits are a varint of the number of leaves, then bytes, the lowest bit first. */
function isLive(live: Uint8Array, leaf: ExistenceProof): boolean {
  let size = 0;
  let at = 0;
  for (let unit = 1; at < 7; unit *= 0x80) {
    const byte = live[at++] ?? 0;
    size += (byte & 0x7f) * unit;
    if (byte < 0x80) break;
  }
  if (live.length !== at + Math.ceil(size / 8)) throw invalid("the set of current entries is malformed");
  const index = indexOf(leaf, size);
  return (live[at + (index >>> 3)]! & (1 << (index & 7))) !== 0;
}

/** Which of `size` leaves a path leads to: the left subtree of n leaves has the largest power of two below n. */
function indexOf({ path }: ExistenceProof, size: number): number {
  let left = size;
  let index = 0;
  for (let step = path.length; step > 0; step--) {
    if (left < 2) throw invalid("a path is too long for its block");
    let split = 1;
    while (split * 2 < left) split *= 2;
    if (simpleSpec.sideOf(path[step - 1]!, step) === "left") left = split;
    else {
      index += split;
      left -= split;
    }
  }
  if (left !== 1) throw invalid("a path is too short for its block");
  return index;
}
