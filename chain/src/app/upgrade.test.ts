import { DENOM, isKaratError, moduleAddress } from "@karat/common";
import { createKaratRegistry } from "@karat/proto";
import { VoteOption } from "cosmjs-types/cosmos/gov/v1/gov";
import { QueryAppliedPlanRequest, QueryAppliedPlanResponse } from "cosmjs-types/cosmos/upgrade/v1beta1/query";
import { ResponseProcessProposal_ProposalStatus } from "cosmjs-types/tendermint/abci/types";
import { describe, expect, test } from "vitest";
import { createParamsModule, LOCALNET_PARAMS } from "../modules/params/index.ts";
import type { CommitStore } from "../store/types.ts";
import { composeModules } from "./compose.ts";
import { APP_VERSION } from "./karatApp.ts";
import { AppHarness, testParticipant } from "./testing/index.ts";
import type { Migration, Program } from "./upgrade.ts";

const { ACCEPT, REJECT } = ResponseProcessProposal_ProposalStatus;
const PARTICIPANTS = 3;
const operators = Array.from({ length: PARTICIPANTS }, (_, i) => testParticipant(i).operator);
const params = createParamsModule();
const FEE = { gasLimit: 1_000_000n, fee: 100_000n } as const;

/** Adds to a number of the state, so that running twice shows. */
const addsToFine =
  (amount: bigint): Migration =>
  (ctx) => {
    const before = params.get(ctx);
    params.set(ctx, { ...before, failureFine: before.failureFine + amount });
  };
const program = (version: bigint, ...migrations: [bigint, Migration][]): Program => ({
  version,
  migrations: new Map(migrations),
});
const V1 = program(1n);
const V2 = program(2n, [2n, addsToFine(10n)]);

function open(running: Program, store?: CommitStore): AppHarness {
  return new AppHarness({
    participants: PARTICIPANTS,
    accounts: operators.map(({ address }) => ({ address, amount: 10n ** 10n })),
    params: { ...LOCALNET_PARAMS, govVotingBlocks: 2n },
    composition: composeModules(running),
    ...(store && { store }),
  });
}

/** A chain of version 1 whose next block is the first of the plan `v<version>`. */
function planned(version: number, messages: readonly object[] = []): AppHarness {
  const harness = open(V1);
  const plan = { name: `v${version}`, height: harness.height + 6n, info: "", time: { seconds: 0n, nanos: 0 } };
  const upgrade = {
    typeUrl: "/cosmos.upgrade.v1beta1.MsgSoftwareUpgrade",
    value: { authority: moduleAddress("gov"), plan },
  };
  const proposal = {
    messages: [createKaratRegistry().encodeAsAny(upgrade), ...messages],
    initialDeposit: [{ denom: DENOM, amount: LOCALNET_PARAMS.govMinDeposit.toString() }],
    proposer: harness.rich.address,
    metadata: "",
    title: "Upgrade",
    summary: "to the next version",
    expedited: false,
  };
  harness.execute(harness.rich, { typeUrl: "/cosmos.gov.v1.MsgSubmitProposal", value: proposal }, FEE);
  const option = VoteOption.VOTE_OPTION_YES;
  harness.deliver(
    operators.map((voter) => {
      const value = { proposalId: 1n, voter: voter.address, option, metadata: "" };
      return harness.tx(voter, { typeUrl: "/cosmos.gov.v1.MsgVote", value }, FEE);
    }),
  );
  harness.jumpTo(plan.height - 1n);
  return harness;
}

const codeOf = (run: () => unknown): string | undefined => {
  try {
    run();
    return undefined;
  } catch (error) {
    return isKaratError(error) ? error.code : String(error);
  }
};
const fine = (harness: AppHarness): bigint => harness.read((ctx) => params.get(ctx).failureFine);
const refuses = (harness: AppHarness) => {
  const { height, store } = harness;
  const before = store.appHash();
  const request = harness.finalizeRequest();
  const code = codeOf(() => harness.app.finalizeBlock(request));
  const proposing = { ...request, maxTxBytes: 1_000n, localLastCommit: { round: 0, votes: [] } };
  const proposed = { ...request, proposedLastCommit: { round: 0, votes: [] } };
  if (code === "upgrade_needed" || code === "migration_missing") {
    const tx = new Uint8Array(100);
    expect(harness.app.prepareProposal({ ...proposing, txs: [tx] }).txs).toEqual([]);
    expect(harness.app.processProposal(proposed).status).toBe(ACCEPT);
    expect(harness.app.processProposal({ ...proposed, txs: [tx] }).status).toBe(REJECT);
  } else {
    expect(codeOf(() => harness.app.prepareProposal(proposing))).toBe(code);
    expect(codeOf(() => harness.app.processProposal(proposed))).toBe(code);
  }
  expect(codeOf(() => harness.app.commit())).toBe("nothing_finalised");
  expect([store.height(), store.appHash()]).toEqual([height, before]);
  return code;
};

describe("at the height of a plan", () => {
  test("the old version stops before it executes anything; the new one migrates once and goes on", () => {
    const old = planned(2);
    expect(old.app.info().appVersion).toBe(1n);
    expect(refuses(old)).toBe("upgrade_needed");

    const upgraded = open(V2, old.store);
    expect(upgraded.app.info().appVersion).toBe(1n);
    const response = upgraded.app.finalizeBlock(upgraded.finalizeRequest());
    expect(response.consensusParamUpdates?.version?.app).toBe(2n);
    // Not committed yet: the process may end here and do it again.
    const again = open(V2, old.store);
    expect(again.app.finalizeBlock(again.finalizeRequest()).appHash).toEqual(response.appHash);
    const block = again.deliver();
    expect(block.appHash).toEqual(response.appHash);
    expect(block.events.map(({ type }) => type)).toContain("upgrade_applied");
    expect(again.app.info().appVersion).toBe(2n);
    expect(fine(again)).toBe(LOCALNET_PARAMS.failureFine + 10n);

    const next = again.app.finalizeBlock(again.finalizeRequest());
    expect(next.consensusParamUpdates).toBeUndefined();
    again.jump(3);
    expect(fine(again)).toBe(LOCALNET_PARAMS.failureFine + 10n);
    const { height } = again.query(
      "/cosmos.upgrade.v1beta1.Query/AppliedPlan",
      QueryAppliedPlanRequest,
      QueryAppliedPlanResponse,
      { name: "v2" },
    );
    expect(height).toBe(block.height);
    expect(refuses(open(V1, old.store))).toBe("version_too_old");
  });

  test("a program that is several versions on runs every migration between, in their order", () => {
    const doubled: Migration = (ctx) => {
      const before = params.get(ctx);
      params.set(ctx, { ...before, failureFine: before.failureFine * 2n });
    };
    const old = planned(3);
    const upgraded = open(program(3n, [3n, doubled], [2n, addsToFine(10n)]), old.store);
    upgraded.deliver();
    expect(fine(upgraded)).toBe((LOCALNET_PARAMS.failureFine + 10n) * 2n);
    expect(upgraded.app.info().appVersion).toBe(3n);
  });

  test("neither another version nor one that lacks a migration executes it", () => {
    const old = planned(3);
    expect(refuses(open(V2, old.store))).toBe("upgrade_needed");
    expect(refuses(open(program(3n, [3n, addsToFine(1n)]), old.store))).toBe("migration_missing");
  });
});

test("the new version does not start before its height, with a plan or without one", () => {
  expect(refuses(open(V2, open(V1).store))).toBe("upgrade_too_early");
  const early = open(V1);
  early.jump(2);
  expect(refuses(open(V2, early.store))).toBe("upgrade_too_early");
});

test("a new chain begins at the version of its program", () => {
  const harness = open(V2);
  expect(harness.app.info().appVersion).toBe(2n);
  harness.jump(2);
  expect(fine(harness)).toBe(LOCALNET_PARAMS.failureFine);
  expect(new AppHarness({ participants: 1 }).app.info().appVersion).toBe(APP_VERSION);
});
