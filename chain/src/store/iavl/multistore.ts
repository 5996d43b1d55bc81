import { sha256, writeUvarint } from "./node.ts";

/**
 * The app hash over the roots of all stores, as the Cosmos multistore has it: an RFC 6962 tree whose leaves, sorted
 * by store name, are len|name, 0x20|sha256(store root).
 */
export function multistoreRoot(roots: ReadonlyMap<string, Uint8Array>): Uint8Array {
  return subtree(leaves(roots));
}

/** One step from a leaf to the root: the preimage of the parent is prefix | child | suffix. */
export interface Step {
  prefix: Uint8Array;
  suffix: Uint8Array;
}

/** The steps from the leaf of `name`, which must be one of the stores, up to the root. */
export function multistorePath(roots: ReadonlyMap<string, Uint8Array>, name: string): Step[] {
  const index = sortedNames(roots).indexOf(name);
  const path: Step[] = [];
  descend(leaves(roots), index, path);
  return path;
}

const none = new Uint8Array(0);

function descend(hashes: readonly Uint8Array[], index: number, path: Step[]): void {
  if (hashes.length < 2) return;
  const split = splitPoint(hashes.length);
  if (index < split) {
    descend(hashes.slice(0, split), index, path);
    path.push({ prefix: Uint8Array.of(1), suffix: subtree(hashes.slice(split)) });
  } else {
    descend(hashes.slice(split), index - split, path);
    path.push({ prefix: Buffer.concat([Uint8Array.of(1), subtree(hashes.slice(0, split))]), suffix: none });
  }
}

function subtree(hashes: readonly Uint8Array[]): Uint8Array {
  if (hashes.length === 0) return sha256(none);
  if (hashes.length === 1) return hashes[0]!;
  const split = splitPoint(hashes.length);
  return sha256(Buffer.concat([Uint8Array.of(1), subtree(hashes.slice(0, split)), subtree(hashes.slice(split))]));
}

/** The largest power of two below n. */
function splitPoint(n: number): number {
  let split = 1;
  while (split * 2 < n) split *= 2;
  return split;
}

function leaves(roots: ReadonlyMap<string, Uint8Array>): Uint8Array[] {
  return sortedNames(roots).map((name) => {
    const key = Buffer.from(name, "utf8");
    const length = new Uint8Array(5);
    const used = writeUvarint(length, 0, key.length);
    const value = sha256(roots.get(name)!);
    return sha256(Buffer.concat([Uint8Array.of(0), length.subarray(0, used), key, Uint8Array.of(value.length), value]));
  });
}

// Store names are ASCII (checked where a store is opened), so that string order is byte order.
const sortedNames = (roots: ReadonlyMap<string, Uint8Array>): string[] => [...roots.keys()].sort();
