import {
  CommitmentProof,
  type ExistenceProof,
  HashOp,
  type InnerOp,
  LengthOp,
} from "cosmjs-types/cosmos/ics23/v1/proofs";
import { equalBytes } from "../bytes.ts";
import { multistorePath } from "./multistore.ts";
import { writeHeader } from "./node.ts";
import type { Tree } from "./tree.ts";

const none = new Uint8Array(0);

/**
 * ICS-23 proof (iavlSpec) that `key` has its value in the tree, or, where it is absent, that its two neighbours are
 * adjacent. An empty tree gives a non-existence proof without neighbours: stock verifiers refuse it, ours takes it
 * when the store root is that of the empty tree.
 */
export function treeProof(tree: Tree, key: Uint8Array): { value: Uint8Array | undefined; data: Uint8Array } {
  const exist = existence(tree, key);
  if (exist !== undefined) return { value: exist.value, data: encode({ exist }) };
  const before = first(tree.iterate({ end: key, reverse: true }));
  const after = first(tree.iterate({ start: key }));
  const left = before === undefined ? undefined : existence(tree, before);
  const right = after === undefined ? undefined : existence(tree, after);
  // Absent fields stay absent: an explicit default would change the bytes of the proof.
  return { value: undefined, data: encode({ nonexist: { key, ...(left && { left }), ...(right && { right }) } }) };
}

/** ICS-23 proof (tendermintSpec) of a store's root under the app hash. */
export function storeProof(roots: ReadonlyMap<string, Uint8Array>, name: string): Uint8Array {
  const path = multistorePath(roots, name).map((step): InnerOp => ({ hash: HashOp.SHA256, ...step }));
  const leaf = leafOp(Uint8Array.of(0));
  return encode({ exist: { key: Buffer.from(name, "utf8"), value: roots.get(name)!, leaf, path } });
}

function existence(tree: Tree, key: Uint8Array): ExistenceProof | undefined {
  const path = tree.path(key);
  const leaf = path.pop()?.node;
  if (leaf === undefined || !equalBytes(leaf.key, key)) return undefined;
  const inner: InnerOp[] = [];
  let child = leaf;
  for (const { ref, node } of path.toReversed()) {
    const onLeft = tree.load(node.left!) === child;
    const header = headerBytes(ref.height, ref.size, node.version);
    const prefix = onLeft ? [header, [32]] : [header, [32], node.left!.hash, [32]];
    const suffix = onLeft ? [[32], node.right!.hash] : [];
    inner.push({ hash: HashOp.SHA256, prefix: join(prefix), suffix: join(suffix) });
    child = node;
  }
  return { key, value: leaf.value!, leaf: leafOp(headerBytes(0, 1, leaf.version)), path: inner };
}

const leafOp = (prefix: Uint8Array) => ({
  hash: HashOp.SHA256,
  prehashKey: HashOp.NO_HASH,
  prehashValue: HashOp.SHA256,
  length: LengthOp.VAR_PROTO,
  prefix,
});

function headerBytes(height: number, size: number, version: number): Uint8Array {
  const header = new Uint8Array(30);
  return header.subarray(0, writeHeader(header, height, size, version));
}

const join = (parts: readonly ArrayLike<number>[]): Uint8Array =>
  parts.length === 0 ? none : Buffer.concat(parts.map((part) => Uint8Array.from(part)));

const encode = (proof: CommitmentProof): Uint8Array => CommitmentProof.encode(proof).finish();

function first(entries: Iterable<readonly [Uint8Array, Uint8Array]>): Uint8Array | undefined {
  for (const [key] of entries) return key;
  return undefined;
}
