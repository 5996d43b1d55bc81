import { readFileSync } from "node:fs";
import { fromHex, toHex, utf8 } from "@karat/common";
import { describe, expect, it } from "vitest";
import { MemoryCommitStore } from "../memory.ts";
import type { Change } from "../types.ts";
import { treeProof } from "./proof.ts";

interface Vectors {
  versions: { version: number; ops: ["set" | "remove", string, string?][]; root: string }[];
  proofs: { key: string; commitmentProof: string }[];
}
const file = new URL("../../../../test/vectors/iavl-go-v1.3.5.json", import.meta.url);
const vectors = JSON.parse(readFileSync(file, "utf8")) as Vectors;

describe("vectors of cosmos/iavl v1.3.5", () => {
  const store = new MemoryCommitStore({ names: ["main"], pruneKeep: 1 });

  it("gives the root of every version", () => {
    for (const { version, ops, root } of vectors.versions) {
      const changes = ops.map(([, key, value]): Change => [utf8(key), value === undefined ? undefined : utf8(value)]);
      store.stage(BigInt(version), new Map([["main", changes]]));
      store.commit();
      const tree = store.treesAt(store.height()).trees[0]!.tree;
      expect(toHex(tree.root!.hash), `version ${version}`).toBe(root);
    }
  });

  it("gives the same proof bytes", () => {
    const tree = store.treesAt(store.height()).trees[0]!.tree;
    expect(vectors.proofs.length).toBeGreaterThan(0);
    for (const { key, commitmentProof } of vectors.proofs) {
      expect(toHex(treeProof(tree, utf8(key)).data), key).toBe(toHex(fromHex(commitmentProof)));
    }
  });
});
