/** What a Cosmos engineer does with a network of real CometBFT validators: vote on an upgrade and carry it out, prove a double sign. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { toBech32 } from "@cosmjs/encoding";
import { DirectSecp256k1Wallet, type EncodeObject } from "@cosmjs/proto-signing";
import { QueryClient, SigningStargateClient, setupSlashingExtension } from "@cosmjs/stargate";
import { Comet38Client } from "@cosmjs/tendermint-rpc";
import { DENOM, moduleAddress, sha256, toBase64 } from "@karat/common";
import { createKaratRegistry } from "@karat/proto";
import { ProposalStatus, VoteOption } from "cosmjs-types/cosmos/gov/v1/gov";
import { QueryProposalRequest, QueryProposalResponse } from "cosmjs-types/cosmos/gov/v1/query";
import { MsgSubmitProposal, MsgVote } from "cosmjs-types/cosmos/gov/v1/tx";
import { Plan } from "cosmjs-types/cosmos/upgrade/v1beta1/upgrade";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Signer, testParticipant } from "../../chain/src/app/testing/index.ts";
import { doubleSign } from "../../chain/src/cli/testing/doubleSign.ts";
import { NEXT_VERSION, type TestChain, type TestNode, testChain } from "../../chain/src/cli/testing/nodes.ts";
import { findCometBft } from "../../chain/src/engine/index.ts";
import { rpc } from "../../chain/src/engine/testing/rpc-client.ts";
import { LOCALNET_PARAMS } from "../../chain/src/modules/params/index.ts";
import { asked, heightOf, statusOf } from "./nodes.ts";
import { eventually } from "./support.ts";

const binary = await findCometBft();
const required = process.env.CI === "true";
if (!binary && !required) console.warn("NO COMETBFT: the tests of governance are left out");

const CHAIN_ID = "karat-governance-1";
const FEE = { amount: [{ denom: DENOM, amount: "50000" }], gas: "2000000" };
const VALIDATORS = 4;
/** Blocks from the proposal to the upgrade: room for the votes, and for a slow machine. */
const NOTICE = 60;
const VOTING = 25n;

const operators = Array.from({ length: VALIDATORS }, (_, i) => testParticipant(i).operator);

describe.skipIf(!binary && !required)("four validators of CometBFT, governed", () => {
  const dir = mkdtempSync(join(tmpdir(), "karat-governance-"));
  let chain: TestChain;
  let nodes: readonly TestNode[];
  let upgradeHeight = 0;

  beforeAll(async () => {
    chain = await testChain({
      dir,
      chainId: CHAIN_ID,
      validators: VALIDATORS,
      blockTimeMs: 250,
      genesis: {
        accounts: operators.map(({ address }) => ({ address, amount: 10n ** 10n })),
        params: { ...LOCALNET_PARAMS, govVotingBlocks: VOTING },
      },
    });
    nodes = chain.nodes;
    await Promise.all(nodes.map((node) => node.start()));
  });
  afterAll(async () => {
    await chain?.close();
    rmSync(dir, { recursive: true, force: true });
  });

  /** Signed and broadcast by stock CosmJS; resolves when the transaction is in a block, with its height. */
  async function broadcast(signer: Signer, messages: EncodeObject[]): Promise<number> {
    const wallet = await DirectSecp256k1Wallet.fromKey(signer.privateKey, "karat");
    const options = { registry: createKaratRegistry(), broadcastPollIntervalMs: 100 };
    const client = await SigningStargateClient.connectWithSigner(nodes[0]!.rpc, wallet, options);
    try {
      const { code, rawLog, height } = await client.signAndBroadcast(signer.address, messages, FEE);
      expect([code, rawLog]).toEqual([0, rawLog]);
      return height;
    } finally {
      client.disconnect();
    }
  }

  const statusOfProposal = (): Promise<ProposalStatus | undefined> =>
    asked(nodes[0]!, async (client) => {
      const request = QueryProposalRequest.encode({ proposalId: 1n }).finish();
      const answer = await client.abciQuery("/cosmos.gov.v1.Query/Proposal", request);
      return QueryProposalResponse.decode(answer).proposal?.status;
    });

  test("an upgrade is proposed and voted on by stock CosmJS, and passes", async () => {
    upgradeHeight = (await heightOf(nodes[0]!)) + NOTICE;
    const plan = Plan.fromPartial({ name: "v2", height: BigInt(upgradeHeight) });
    const upgrade = {
      typeUrl: "/cosmos.upgrade.v1beta1.MsgSoftwareUpgrade",
      value: { authority: moduleAddress("gov"), plan },
    };
    const proposal = MsgSubmitProposal.fromPartial({
      messages: [createKaratRegistry().encodeAsAny(upgrade)],
      initialDeposit: [{ denom: DENOM, amount: LOCALNET_PARAMS.govMinDeposit.toString() }],
      proposer: operators[0]!.address,
      title: "v2",
      summary: "the next version",
    });
    await broadcast(operators[0]!, [{ typeUrl: "/cosmos.gov.v1.MsgSubmitProposal", value: proposal }]);
    const option = VoteOption.VOTE_OPTION_YES;
    await Promise.all(
      operators.slice(0, 3).map((voter) => {
        const value = MsgVote.fromPartial({ proposalId: 1n, voter: voter.address, option });
        return broadcast(voter, [{ typeUrl: "/cosmos.gov.v1.MsgVote", value }]);
      }),
    );
    await eventually(
      "the proposal to pass",
      async () => (await statusOfProposal()) === ProposalStatus.PROPOSAL_STATUS_PASSED,
    );
  });

  test("the old program ends at the height of the plan, and cannot be started again", async () => {
    for (const node of nodes)
      await eventually("the end of the node", async () => node.output.includes("upgrade_needed"));
    expect(await Promise.all(nodes.map((node) => node.ended()))).toEqual(nodes.map(() => ({ code: 1, signal: null })));
    nodes[0]!.launch();
    await eventually("its refusal", async () => nodes[0]!.output.includes("upgrade_needed"));
    expect(await nodes[0]!.ended()).toEqual({ code: 1, signal: null });
  });

  test("the next version migrates the state and goes on; the old one is refused", async () => {
    for (const node of nodes) node.launch([], NEXT_VERSION);
    await Promise.all(nodes.map((node) => node.listening()));
    for (const node of nodes) await eventually("blocks", async () => (await heightOf(node)) > upgradeHeight + 1);
    expect((await asked(nodes[0]!, (client) => client.query.params())).failureFine).toBe(
      2n * LOCALNET_PARAMS.failureFine,
    );
    await eventually("the version in the status", async () => {
      return (await statusOf(nodes[0]!)).node_info.protocol_version.app === "2";
    });
    const late = nodes[3]!;
    await late.end();
    late.launch();
    await eventually("its refusal", async () => late.output.includes("version_too_old"));
    expect(await late.ended()).toEqual({ code: 1, signal: null });
    late.launch([], NEXT_VERSION);
    await late.listening();
    const target = (await heightOf(nodes[0]!)) + 1;
    await eventually("the late one", async () => (await heightOf(late)) >= target);
  });

  test("a validator that signed two blocks of one height loses collateral and power for good, and the others go on", async () => {
    const culprit = 2;
    const operator = operators[culprit]!.address;
    const before = (await asked(nodes[0]!, (client) => client.query.participant(operator)))!.collateral;
    const evidence = await doubleSign(nodes[0]!.rpc, CHAIN_ID, culprit);
    expect(await rpc(nodes[0]!.rpc, "broadcast_evidence", { evidence })).toHaveProperty("result");
    const consensusKey = chain.participants[culprit]!.consensusKey;
    const comet = await Comet38Client.connect(nodes[0]!.rpc);
    const query = QueryClient.withExtensions(comet, setupSlashingExtension);
    const address = toBech32("karatvalcons", sha256(consensusKey).slice(0, 20));
    await eventually(
      "the tombstone",
      async () => (await query.slashing.signingInfo(address)).valSigningInfo.tombstoned,
    );
    comet.disconnect();
    const after = (await asked(nodes[0]!, (client) => client.query.participant(operator)))!.collateral;
    expect(after).toBe(before - (before * BigInt(LOCALNET_PARAMS.doubleSignSlashBps)) / 10_000n);
    const key = toBase64(consensusKey);
    const inSet = async (): Promise<boolean> => {
      const { result } = await rpc(nodes[0]!.rpc, "validators");
      return (result as { validators: { pub_key: { value: string } }[] }).validators.some(
        ({ pub_key }) => pub_key.value === key,
      );
    };
    await eventually("the validator out of the set", async () => !(await inSet()));
    const target = (await heightOf(nodes[0]!)) + 5;
    for (const node of nodes) await eventually("more blocks", async () => (await heightOf(node)) >= target);
  });
});
