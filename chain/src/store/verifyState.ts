import { KaratError } from "@karat/common";
import { compareBytes, equalBytes } from "./bytes.ts";
import { multistoreRoot } from "./iavl/multistore.ts";
import { innerHash, leafHash } from "./iavl/node.ts";
import type { Tree } from "./iavl/tree.ts";
import { rootHashes, type TreeCommitStore } from "./treeStore.ts";
import type { Reader } from "./types.ts";

/**
 * Reads the whole committed state and hashes it anew: nodes, flat tables and journals must be what the app hash says.
 * A few microseconds per entry. Throws `corrupt_store`.
 */
export function verifyState(store: TreeCommitStore): void {
  const height = store.height();
  if (height === 0n) return;
  const { appHash, trees } = store.treesAt(height);
  const roots = new Map(trees.map(({ name, tree }) => [name, tree.root]));
  if (!equalBytes(multistoreRoot(rootHashes(roots)), appHash)) throw damaged("the roots of the stores");
  for (const { name, tree } of trees) verifyTree(tree, store.backend.reader(name), name);
  for (const name of store.journaled) store.verifyJournal(name);
}

/** Every node is what its parent says, and the flat table holds the leaves and nothing else. */
function verifyTree(tree: Tree, flat: Reader, name: string): void {
  const entries = flat.iterate()[Symbol.iterator]();
  /** Smallest key below each of the subtrees that wait for their parents. */
  const first: Uint8Array[] = [];
  for (const { ref, node } of tree.postOrder()) {
    if (node.left === undefined || node.right === undefined) {
      const { value: entry, done } = entries.next();
      const same = done !== true && equalBytes(entry[0], node.key) && equalBytes(entry[1], node.value!);
      if (!same || !equalBytes(leafHash(node.key, node.value!, node.version), ref.hash)) throw damaged(name);
      first.push(node.key);
      continue;
    }
    const right = first.pop();
    const hash = innerHash(ref.height, ref.size, node.version, node.left.hash, node.right.hash);
    if (right === undefined || compareBytes(right, node.key) !== 0 || !equalBytes(hash, ref.hash)) throw damaged(name);
  }
  if (entries.next().done !== true) throw damaged(name);
}

export const damaged = (what: string) =>
  new KaratError("corrupt_store", "the state on the disk is not that of its app hash", { what });
