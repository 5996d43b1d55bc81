import { readFileSync } from "node:fs";
import { Block } from "cosmjs-types/tendermint/types/block";
import { BlockMeta } from "cosmjs-types/tendermint/types/types";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { RpcHeader } from "../rpcTypes.ts";
import { blockIdOfJson, commitOfJson, headerOfJson } from "../testing/rpc-json.ts";
import {
  blockIdOf,
  commitHash,
  consensusHash,
  dataHash,
  headerHash,
  resultsHash,
  txProof,
  validatorsHash,
} from "./hashes.ts";
import { verifyEd25519 } from "./keys.ts";
import { merkleProof, merkleRoot, verifyMerkleProof } from "./merkle.ts";
import { paramsOfJson } from "./params.ts";
import { validatorOf } from "./validators.ts";
import { precommitSignBytes } from "./vote.ts";

type CommitJson = Parameters<typeof commitOfJson>[0];
interface BlockReply {
  block_id: { hash: string; parts: { total: number; hash: string } };
  block: { header: RpcHeader; data: { txs: string[] }; last_commit: CommitJson };
}

const recorded = <T>(name: string): T =>
  JSON.parse(readFileSync(new URL(`../../../../test/vectors/comet-rpc-v0.38/${name}.json`, import.meta.url), "utf8"))
    .result;
const upper = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex").toUpperCase();
const base64 = (text: string) => new Uint8Array(Buffer.from(text, "base64"));
const blockOf = ({ block }: BlockReply): Block =>
  Block.fromPartial({
    header: headerOfJson(block.header),
    data: { txs: block.data.txs.map(base64) },
    evidence: { evidence: [] },
    lastCommit: commitOfJson(block.last_commit),
  });

describe("hashes of blocks that a real CometBFT made", () => {
  test.each(["block", "block_1"])("%s has the recorded id and parts", (name) => {
    const reply = recorded<BlockReply>(name);
    const block = blockOf(reply);
    expect(blockIdOf(block).blockId).toEqual(blockIdOfJson(reply.block_id));
    expect(upper(headerHash(block.header))).toBe(reply.block_id.hash);
    expect(upper(commitHash(block.lastCommit!))).toBe(reply.block.header.last_commit_hash);
    expect(upper(dataHash(block.data.txs))).toBe(reply.block.header.data_hash);
  });

  test("an encoded block has the recorded size", () => {
    const { block_metas } = recorded<{ block_metas: { block_size: string; header: RpcHeader }[] }>("blockchain");
    const first = block_metas.find(({ header }) => header.height === "1");
    expect(String(blockIdOf(blockOf(recorded<BlockReply>("block_1"))).encoded.length)).toBe(first?.block_size);
    expect(BlockMeta.fromPartial({}).blockSize).toBe(0n);
  });

  test("validators, parameters and empty results hash to what the header says", () => {
    const { header } = recorded<{ header: RpcHeader }>("header");
    const { validators } = recorded<{ validators: { pub_key: { value: string }; voting_power: string }[] }>(
      "validators",
    );
    const set = validators.map(({ pub_key, voting_power }) => validatorOf(base64(pub_key.value), BigInt(voting_power)));
    expect(upper(validatorsHash(set))).toBe(header.validators_hash);
    const params = recorded<{ consensus_params: unknown }>("consensus_params").consensus_params;
    expect(upper(consensusHash(paramsOfJson(params)))).toBe(header.consensus_hash);
    expect(upper(resultsHash([]))).toBe(header.last_results_hash);
  });

  test("results hash over code, data and gas only", () => {
    // The results of block 78 in ws.json are hashed in the header of block 79.
    const frames = JSON.parse(
      readFileSync(new URL("../../../../test/vectors/comet-rpc-v0.38/ws.json", import.meta.url), "utf8"),
    ) as { id: number; result?: { data?: { value: Record<string, never> } } }[];
    const blocks = frames.flatMap(({ id, result }) =>
      id === 11 && result?.data ? [result.data.value as unknown as NewBlock] : [],
    );
    const byHeight = new Map(blocks.map((value) => [value.block.header.height, value]));
    const results = byHeight.get("78")!.result_finalize_block.tx_results!.map((result) => ({
      ...result,
      data: base64(result.data ?? ""),
      gasWanted: BigInt(result.gas_wanted),
      gasUsed: BigInt(result.gas_used),
      events: [],
    }));
    expect(upper(resultsHash(results))).toBe(byHeight.get("79")!.block.header.last_results_hash);
  });

  test("the recorded precommit verifies over our sign bytes, and over no others", () => {
    const { signed_header } = recorded<{ signed_header: { header: RpcHeader; commit: CommitJson } }>("commit");
    const commit = commitOfJson(signed_header.commit);
    const { timestamp, signature } = commit.signatures[0]!;
    const { validators } = recorded<{ validators: { pub_key: { value: string } }[] }>("validators");
    const key = base64(validators[0]!.pub_key.value);
    const chainId = signed_header.header.chain_id;
    expect(verifyEd25519(key, precommitSignBytes(chainId, { ...commit, timestamp }), signature)).toBe(true);
    const other = precommitSignBytes(chainId, { ...commit, height: commit.height + 1n, timestamp });
    expect(verifyEd25519(key, other, signature)).toBe(false);
  });
});

interface NewBlock {
  readonly block: { readonly header: RpcHeader };
  readonly result_finalize_block: {
    readonly tx_results?: readonly {
      code: number;
      data: string | null;
      log: string;
      info: string;
      gas_wanted: string;
      gas_used: string;
      codespace: string;
    }[];
  };
}

test("every leaf of a Merkle tree is proven, and only at its own place", () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 8 }), { minLength: 1, maxLength: 20 }), fc.nat(), (leaves, at) => {
      const index = at % leaves.length;
      const root = merkleRoot(leaves);
      const proof = merkleProof(leaves, index);
      expect(verifyMerkleProof(root, leaves[index]!, proof)).toBe(true);
      expect(verifyMerkleProof(root, Buffer.concat([leaves[index]!, Uint8Array.of(1)]), proof)).toBe(false);
      if (leaves.length > 1) {
        const wrong = { ...proof, index: (index + 1) % leaves.length };
        const sameLeaf = Buffer.compare(leaves[index]!, leaves[wrong.index]!) === 0;
        if (!sameLeaf) expect(verifyMerkleProof(root, leaves[index]!, wrong)).toBe(false);
      }
    }),
  );
  expect(txProof([Uint8Array.of(1)], 0).aunts).toEqual([]);
});
