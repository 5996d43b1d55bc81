import { readFileSync } from "node:fs";
import { fromHex, toHex, utf8 } from "@karat/common";
import { CommitmentProof } from "cosmjs-types/cosmos/ics23/v1/proofs";
import { describe, expect, it } from "vitest";
import { sha256 } from "./support.ts";
import { type ProofClaim, type ProofOp, verifyProof } from "./verifyProof.ts";

interface Vectors {
  versions: { ops: ["set" | "remove", string, string?][]; root: string }[];
  proofs: { key: string; commitmentProof: string }[];
}
interface StoreVectors {
  appHash: string;
  claims: { store: string; key: string; value: string | null; ops: { type: string; key: string; data: string }[] }[];
}
const read = (path: string): unknown => JSON.parse(readFileSync(new URL(path, import.meta.url), "utf8"));
const go = read("../../../../test/vectors/iavl-go-v1.3.5.json") as Vectors;
const store = read("../../../../test/vectors/iavl-store-proofs.json") as StoreVectors;

const journal = read("../../../../test/vectors/journal-store-proofs.json") as { heights: StoreVectors[] };

const claimOf = (
  { store: storeName, key, value, ops }: StoreVectors["claims"][number],
  appHash: string,
): ProofClaim => ({
  proofOps: ops.map((op) => ({ type: op.type, key: fromHex(op.key), data: fromHex(op.data) })),
  appHash: fromHex(appHash),
  storeName,
  key: fromHex(key),
  value: value === null ? undefined : fromHex(value),
});
const claims = store.claims.map((claim) => claimOf(claim, store.appHash));

const accepted = (claim: ProofClaim): boolean => {
  try {
    verifyProof(claim);
    return true;
  } catch (error) {
    expect((error as { code?: string }).code).toBe("invalid_proof");
    return false;
  }
};

describe("proofs of cosmos/iavl v1.3.5", () => {
  const entries = new Map<string, string | undefined>();
  for (const { ops } of go.versions) for (const [, key, value] of ops) entries.set(key, value);
  const root = fromHex(go.versions.at(-1)!.root);
  const goClaim = (key: string, data: Uint8Array): ProofClaim => {
    const value = entries.get(key);
    const { ops, appHash } = underOneStore(root);
    const proofOps = [{ type: "ics23:iavl", key: utf8(key), data }, ...ops];
    return {
      proofOps,
      appHash,
      storeName: "main",
      key: utf8(key),
      value: value === undefined ? undefined : utf8(value),
    };
  };

  it.each(go.proofs)("accepts the one of $key", ({ key, commitmentProof }) => {
    const claim = goClaim(key, fromHex(commitmentProof));
    expect(accepted(claim)).toBe(true);
    expect(accepted({ ...claim, value: claim.value === undefined ? utf8("x") : undefined })).toBe(false);
  });

  it("accepts an entry out of a proof of absence, but not with neighbours taken apart", () => {
    const proofs = go.proofs.map(({ key, commitmentProof }) => ({
      key,
      ...CommitmentProof.decode(fromHex(commitmentProof)),
    }));
    const absent = proofs.find((proof) => proof.nonexist?.left !== undefined && proof.nonexist.right !== undefined)!;
    const { key, left, right } = absent.nonexist!;
    const claimOf = (proof: CommitmentProof, of: Uint8Array) =>
      goClaim(new TextDecoder().decode(of), CommitmentProof.encode(proof).finish());
    expect(accepted(claimOf({ exist: left! }, left!.key))).toBe(true);
    for (const nonexist of [
      { key, left: left! },
      { key, right: right! },
      { key, left: right!, right: left! },
      { key },
    ]) {
      expect(accepted(claimOf({ nonexist }, key))).toBe(false);
    }
    // The first and the last entry of the tree as the neighbours of everything between.
    const last = proofs.find((proof) => proof.nonexist !== undefined && proof.nonexist.right === undefined)!.nonexist!
      .left!;
    const first = proofs.find((proof) => proof.nonexist !== undefined && proof.nonexist.left === undefined)!.nonexist!
      .right!;
    expect(accepted(claimOf({ nonexist: { key, left: first, right: last } }, key))).toBe(false);
    expect(accepted(claimOf({ nonexist: { key, left: first, right: right! } }, key))).toBe(false);
    expect(accepted(claimOf({ nonexist: { key, left: left!, right: last } }, key))).toBe(false);
  });
});

describe("proofs of the chain's store", () => {
  it.each(claims.map((claim) => [`${claim.storeName}/${toHex(claim.key)}`, claim] as const))(
    "accepts %s",
    (_, claim) => {
      expect(accepted(claim)).toBe(true);
    },
  );

  it("accepts neighbours as a proof of absence only where they are adjacent, and only for keys between them", () => {
    const few = claims.filter((claim) => claim.storeName === "few");
    const proofs = few.map((claim) => CommitmentProof.decode(claim.proofOps[0]!.data).exist!);
    expect(proofs.length).toBe(14);
    const absent = (key: Uint8Array, left: number, right: number): boolean => {
      const neighbours = {
        ...(proofs[left] && { left: proofs[left] }),
        ...(proofs[right] && { right: proofs[right] }),
      };
      const data = CommitmentProof.encode({ nonexist: { key, ...neighbours } }).finish();
      const proofOps = [{ type: "ics23:iavl", key, data }, few[0]!.proofOps[1]!];
      return accepted({ ...few[0]!, proofOps, key, value: undefined });
    };
    const after = (key: Uint8Array) => Uint8Array.of(...key, 0);
    for (let left = -1; left < proofs.length; left++) {
      for (let right = left + 1; right <= proofs.length; right++) {
        const key = left < 0 ? utf8("a") : after(proofs[left]!.key);
        expect(absent(key, left, right), `${left} ${right}`).toBe(right === left + 1);
      }
    }
    const [first, second] = [proofs[4]!.key, proofs[5]!.key];
    for (const key of [first, second, after(second), proofs[3]!.key]) expect(absent(key, 4, 5)).toBe(false);
    expect(absent(utf8("z"), -1, 0)).toBe(false);
    expect(absent(utf8("a"), proofs.length - 1, proofs.length)).toBe(false);
  });

  it("rejects another value, key, store or app hash", () => {
    for (const claim of claims) {
      const other = claims.find((each) => each !== claim && each.storeName !== claim.storeName)!;
      const wrong: Partial<Record<keyof ProofClaim, unknown>>[] = [
        { value: utf8("other") },
        { value: claim.value === undefined ? new Uint8Array(0) : undefined },
        { key: Uint8Array.of(...claim.key, 0) },
        { storeName: other.storeName },
        { appHash: claim.appHash.map((byte) => byte ^ 1) },
        { appHash: new Uint8Array(0) },
        { proofOps: [] },
        { proofOps: claim.proofOps.slice(0, 1) },
        { proofOps: claim.proofOps.toReversed() },
        { proofOps: [...claim.proofOps, claim.proofOps[1]] },
        { proofOps: [other.proofOps[0], claim.proofOps[1]] },
        { proofOps: [claim.proofOps[0], other.proofOps[1]] },
      ];
      for (const change of wrong)
        expect(accepted({ ...claim, ...change } as ProofClaim), JSON.stringify(change)).toBe(false);
    }
  });

  it("rejects proofs in which any byte was changed", () => {
    for (const claim of claims) {
      claim.proofOps.forEach((op, step) => {
        for (let at = 0; at < op.data.length; at++) {
          const data = new Uint8Array(op.data);
          data[at]! ^= 1 << (at % 8);
          const proofOps = claim.proofOps.with(step, { ...op, data });
          // A change may only pass where the decoder ignores it, that is, where the proof decodes to the same.
          if (accepted({ ...claim, proofOps })) expect(normalised(data)).toEqual(normalised(op.data));
        }
      });
    }
  });
});

describe("proofs of journaled stores", () => {
  const byHeight = journal.heights.map(({ appHash, claims: all }) => all.map((claim) => claimOf(claim, appHash)));
  const [last, before] = byHeight as [ProofClaim[], ProofClaim[]];

  it("accepts every entry at both heights", () => {
    for (const claims of byHeight) {
      expect(claims.length).toBeGreaterThan(20);
      for (const claim of claims) expect(accepted(claim), `${claim.storeName}/${toHex(claim.key)}`).toBe(true);
    }
  });

  it("rejects what is not current any more, though some block wrote it", () => {
    const stale = before.filter(
      ({ storeName, key, value }) =>
        !last.some(
          (now) => now.storeName === storeName && toHex(now.key) === toHex(key) && toHex(now.value!) === toHex(value!),
        ),
    );
    expect(stale.length).toBeGreaterThan(3);
    let sameBlock = 0;
    for (const claim of stale) {
      expect(accepted({ ...claim, appHash: last[0]!.appHash })).toBe(false);
      // The best a liar can do: the old leaf and root with the bits of now, of the same block where it still counts.
      const [entry, root] = claim.proofOps;
      for (const now of last) {
        const [, , store, live] = now.proofOps;
        if (toHex(now.proofOps[1]!.key) === toHex(root!.key)) {
          sameBlock++;
          expect(
            accepted({ ...now, ...claim, appHash: now.appHash, proofOps: [entry!, now.proofOps[1]!, store!, live!] }),
          ).toBe(false);
        }
        expect(accepted({ ...claim, appHash: now.appHash, proofOps: [entry!, root!, store!, live!] })).toBe(false);
      }
    }
    expect(sameBlock).toBeGreaterThan(0);
  });

  it("rejects another value, key, store, absence, app hash or order of steps", () => {
    for (const claim of last) {
      const [entry, root, store, live] = claim.proofOps as [ProofOp, ProofOp, ProofOp, ProofOp];
      const other = last.find(
        (each) => each.storeName === claim.storeName && toHex(each.proofOps[1]!.key) !== toHex(root.key),
      )!;
      const wrong: Partial<Record<keyof ProofClaim, unknown>>[] = [
        { value: utf8("other") },
        { value: undefined },
        { key: Uint8Array.of(...claim.key, 0) },
        { storeName: claim.storeName === "alpha" ? "beta" : "alpha" },
        { storeName: "bank" },
        { storeName: "journal" },
        { appHash: claim.appHash.map((byte) => byte ^ 1) },
        { proofOps: [entry] },
        { proofOps: [entry, root, store] },
        { proofOps: [entry, live, store, root] },
        { proofOps: [entry, root, store, root] },
        { proofOps: [root, entry, store, live] },
        { proofOps: [root, store] },
        { proofOps: [...claim.proofOps, live] },
        { proofOps: [other.proofOps[0], root, store, live] },
        { proofOps: [entry, other.proofOps[1], store, live] },
        { proofOps: [entry, root, store, other.proofOps[3]] },
        { proofOps: [entry, other.proofOps[1], store, other.proofOps[3]] },
        { proofOps: [entry, root, last[0]!.proofOps[0], live] },
      ];
      for (const change of wrong)
        expect(accepted({ ...claim, ...change } as ProofClaim), JSON.stringify(change)).toBe(false);
    }
  });

  it("rejects proofs in which any byte was changed", () => {
    for (const claim of last.filter((_, index) => index % 3 === 0)) {
      claim.proofOps.forEach((op, step) => {
        for (let at = 0; at < op.data.length; at++) {
          const data = new Uint8Array(op.data);
          data[at]! ^= 1 << (at % 8);
          const proofOps = claim.proofOps.with(step, { ...op, data });
          if (accepted({ ...claim, proofOps })) expect(normalised(data)).toEqual(normalised(op.data));
        }
        for (let at = 0; at < op.key.length; at++) {
          const key = op.key.with(at, op.key[at]! ^ 1);
          expect(accepted({ ...claim, proofOps: claim.proofOps.with(step, { ...op, key }) })).toBe(false);
        }
      });
    }
  });
});

const normalised = (data: Uint8Array): Uint8Array => CommitmentProof.encode(CommitmentProof.decode(data)).finish();

/** The step from a store's root to an app hash over this one store: its leaf is the root. */
function underOneStore(root: Uint8Array): { ops: ProofOp[]; appHash: Uint8Array } {
  const key = utf8("main");
  const leaf = { hash: 1, prehashKey: 0, prehashValue: 1, length: 1, prefix: Uint8Array.of(0) };
  const data = CommitmentProof.encode({ exist: { key, value: root, leaf, path: [] } }).finish();
  const appHash = sha256(Uint8Array.of(0, key.length, ...key, 32, ...sha256(root)));
  return { ops: [{ type: "ics23:simple", key, data }], appHash };
}
