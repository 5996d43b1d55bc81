import { verifyProof } from "@karat/client";
import { sha256, toBase64, toHex } from "@karat/common";
import { beforeAll, expect } from "vitest";
import { signerOf } from "../../../chain/src/app/testing/index.ts";
import { headerHash } from "../../../chain/src/engine/consensus/hashes.ts";
import { verifyEd25519 } from "../../../chain/src/engine/consensus/keys.ts";
import { precommitSignBytes } from "../../../chain/src/engine/consensus/vote.ts";
import type { RpcBlock, RpcCommit } from "../../../chain/src/engine/rpcTypes.ts";
import { rpc } from "../../../chain/src/engine/testing/rpc-client.ts";
import { blockIdOfJson, commitOfJson, headerOfJson } from "../../../chain/src/engine/testing/rpc-json.ts";
import { requireAddress } from "../../../chain/src/modules/auth/index.ts";
import { accounts } from "../../../chain/src/modules/auth/keys.ts";
import { balances } from "../../../chain/src/modules/bank/keys.ts";
import { CHAIN_ID, type Checks, failureOf, type Suite, send, signed, untilHeight } from "./context.ts";

/** Blocks, results, commits, validators. */
export const blockChecks: Checks = (suite, check) => {
  let at: { height: number; tx: Uint8Array };
  beforeAll(async () => {
    const { alice, bob, comet } = suite();
    const tx = await signed(suite(), [send(alice, bob, 1)], { memo: "for the blocks" });
    at = { height: (await comet.broadcastTxCommit({ tx })).height, tx };
    await untilHeight(suite(), at.height + 1);
  });

  check("a block by height: header, id, transactions", async ({ direct }) => {
    const block = await direct.getBlock(at.height);
    expect(block.header).toMatchObject({ chainId: CHAIN_ID, height: at.height });
    expect(block.id).toMatch(/^[0-9A-F]{64}$/);
    expect(block.txs).toEqual([at.tx]);
  });
  check("the last block", async ({ direct }) =>
    expect((await direct.getBlock()).header.height).toBeGreaterThanOrEqual(at.height),
  );
  check("a block to come is an error", async ({ comet }) =>
    expect((await failureOf(comet.block(9_999_999))).message).toContain("must be less than or equal to"),
  );
  check("block 1 has no commit", async ({ comet }) => {
    const { block } = await comet.block(1);
    expect(block.header.lastBlockId).toBe(null);
    expect(block.lastCommit).toBe(null);
  });
  check("a block names the one before", async ({ comet }) => {
    const [before, next] = [await comet.block(at.height), await comet.block(at.height + 1)];
    expect(next.block.header.lastBlockId?.hash).toEqual(before.blockId.hash);
    expect(next.block.lastCommit?.blockId.hash).toEqual(before.blockId.hash);
  });
  check("the header hashes to the block's id", async ({ endpoint }) => {
    const url = endpoint.replace("ws", "http");
    const { block, block_id } = (await rpc(url, "block", { height: String(at.height) })).result as RpcBlock;
    expect(toHex(headerHash(headerOfJson(block!.header))).toUpperCase()).toBe(block_id.hash);
  });
  check("block results: codes, gas, app hash of the next header", async ({ comet }) => {
    const { results, height } = await comet.blockResults(at.height);
    expect([height, results.map(({ code }) => code)]).toEqual([at.height, [0]]);
    expect(results[0]?.gasUsed).toBeGreaterThan(0n);
    expect(results[0]?.events.map(({ type }) => type)).toContain("transfer");
  });
  check("headers in a range", async ({ comet }) => {
    const { blockMetas, lastHeight } = await comet.blockchain(1, 3);
    expect(blockMetas.map(({ header }) => header.height)).toEqual([3, 2, 1]);
    expect(lastHeight).toBeGreaterThanOrEqual(at.height);
  });
  check("a commit: the validator's signature holds", async ({ endpoint, comet }) => {
    const url = endpoint.replace("ws", "http");
    const answer = await rpc(url, "commit", { height: String(at.height) });
    const { commit: json } = (answer.result as { signed_header: { commit: RpcCommit } }).signed_header;
    const commit = commitOfJson(json);
    const { timestamp, signature } = commit.signatures[0]!;
    const bytes = precommitSignBytes(CHAIN_ID, { ...commit, timestamp });
    const { validators } = await comet.validatorsAll(at.height);
    expect(verifyEd25519(validators[0]!.pubkey!.data, bytes, signature)).toBe(true);
    expect(blockIdOfJson(json.block_id)).toEqual(commit.blockId);
  });
  check("commit through CosmJS", async ({ comet }) => {
    const { commit, header } = await comet.commit(at.height);
    expect([header.height, commit.height, commit.signatures.length]).toEqual([at.height, at.height, 1]);
  });
  check("validators, in pages and all", async ({ comet }) => {
    const all = await comet.validatorsAll(at.height);
    expect([all.total, all.count, all.blockHeight]).toEqual([1, 1, at.height]);
    expect((await comet.validators({ height: at.height, page: 1, per_page: 1 })).validators).toEqual(all.validators);
    const { proposerAddress } = (await comet.block(at.height)).block.header;
    expect(all.validators.map(({ address }) => toBase64(address))).toContain(toBase64(proposerAddress));
  });
  check("waiting transactions are counted", async ({ comet }) => {
    const { total, totalBytes } = await comet.numUnconfirmedTxs();
    expect(total).toBeGreaterThanOrEqual(0);
    expect(totalBytes).toBeGreaterThanOrEqual(total);
  });
};

/** What the app hash proves. */
export const proofChecks: Checks = (suite, check) => {
  let appHash: Uint8Array;
  let height: number;
  const keyOf = (address: string) => balances.keyOf(requireAddress(address));
  const prove = async ({ comet }: Suite, store: string, key: Uint8Array, at = height) => {
    const answer = await comet.abciQuery({ path: `/store/${store}/key`, data: key, prove: true, height: at });
    return { code: answer.code, value: answer.value, proofOps: answer.proof?.ops ?? [], height: answer.height };
  };
  const codeOf = (run: () => void): string | undefined => {
    try {
      run();
      return undefined;
    } catch (error) {
      return (error as { code: string }).code;
    }
  };

  beforeAll(async () => {
    const { comet, alice, bob } = suite();
    const tx = await signed(suite(), [send(alice, bob, 1)], { memo: "for the proofs" });
    ({ height } = await comet.broadcastTxCommit({ tx }));
    await untilHeight(suite(), height + 1);
    // The header after a block has the app hash of the state that the block left.
    appHash = (await comet.block(height + 1)).block.header.appHash;
  });

  check("a balance is proven by the next header's app hash", async (s) => {
    const key = keyOf(s.bob.address);
    const { value, proofOps, height: answered } = await prove(s, "bank", key);
    expect([answered, value.length > 0]).toEqual([height, true]);
    verifyProof({ proofOps, appHash, storeName: "bank", key, value });
  });
  check("an account is proven", async (s) => {
    const key = accounts.keyOf(requireAddress(s.alice.address));
    const { value, proofOps } = await prove(s, "auth", key);
    verifyProof({ proofOps, appHash, storeName: "auth", key, value });
  });
  check("absence is proven", async (s) => {
    const key = keyOf(signerOf("cosmjs absent").address);
    const { value, proofOps } = await prove(s, "bank", key);
    expect(value.length).toBe(0);
    verifyProof({ proofOps, appHash, storeName: "bank", key, value: undefined });
  });
  check("another value is not proven", async (s) => {
    const key = keyOf(s.bob.address);
    const { value, proofOps } = await prove(s, "bank", key);
    const changed = Uint8Array.from(value, (byte, i) => (i === 0 ? byte ^ 1 : byte));
    const claim = { proofOps, appHash, storeName: "bank", key };
    expect(codeOf(() => verifyProof({ ...claim, value: changed }))).toBe("invalid_proof");
    expect(codeOf(() => verifyProof({ ...claim, value: undefined }))).toBe("invalid_proof");
  });
  check("another app hash, store or key is not proven", async (s) => {
    const key = keyOf(s.bob.address);
    const { value, proofOps } = await prove(s, "bank", key);
    const claim = { proofOps, appHash, storeName: "bank", key, value };
    for (const wrong of [{ appHash: sha256(appHash) }, { storeName: "auth" }, { key: keyOf(s.alice.address) }]) {
      expect(codeOf(() => verifyProof({ ...claim, ...wrong }))).toBe("invalid_proof");
    }
  });
  check("an earlier height is proven by its own header", async (s) => {
    const key = keyOf(s.bob.address);
    const { value, proofOps } = await prove(s, "bank", key, height - 1);
    const claim = { proofOps, storeName: "bank", key, value };
    const { header } = (await s.comet.block(height)).block;
    verifyProof({ ...claim, appHash: header.appHash });
    expect(codeOf(() => verifyProof({ ...claim, appHash }))).toBe("invalid_proof");
  });
  check("a proof of what is no key is refused", async ({ comet }) => {
    const answer = await comet.abciQuery({
      path: "/cosmos.bank.v1beta1.Query/Params",
      data: new Uint8Array(),
      prove: true,
    });
    expect(answer.code).toBe(18);
  });
  check("a store that is not there is code 6", async (s) =>
    expect((await prove(s, "nothing", keyOf(s.bob.address))).code).toBe(6),
  );
};
