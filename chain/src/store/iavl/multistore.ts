import { type Step, simpleLeaf, simplePath, simpleRoot } from "../simpleTree.ts";

/**
 * The app hash over the roots of all stores, as the Cosmos multistore has it: an RFC 6962 tree whose leaves, sorted
 * by store name, are len|name, 0x20|sha256(store root).
 */
export function multistoreRoot(roots: ReadonlyMap<string, Uint8Array>): Uint8Array {
  return simpleRoot(leaves(roots));
}

/** The steps from the leaf of `name`, which must be one of the stores, up to the root. */
export function multistorePath(roots: ReadonlyMap<string, Uint8Array>, name: string): Step[] {
  return simplePath(leaves(roots), sortedNames(roots).indexOf(name));
}

function leaves(roots: ReadonlyMap<string, Uint8Array>): Uint8Array {
  return Buffer.concat(sortedNames(roots).map((name) => simpleLeaf(Buffer.from(name, "utf8"), roots.get(name)!)));
}

// Store names are ASCII (checked where a store is opened), so that string order is byte order.
const sortedNames = (roots: ReadonlyMap<string, Uint8Array>): string[] => [...roots.keys()].sort();
