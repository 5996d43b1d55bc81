import { DENOM, moduleAddress, silentLogger, utf8 } from "@karat/common";
import { createKaratRegistry, params as paramsProto, typeUrls } from "@karat/proto";
import { QueryBalanceRequest, QueryBalanceResponse } from "cosmjs-types/cosmos/bank/v1beta1/query";
import { TxMsgData } from "cosmjs-types/cosmos/base/abci/v1beta1/abci";
import { Proposal, ProposalStatus, VoteOption } from "cosmjs-types/cosmos/gov/v1/gov";
import * as query from "cosmjs-types/cosmos/gov/v1/query";
import { MsgSubmitProposalResponse } from "cosmjs-types/cosmos/gov/v1/tx";
import { ConsensusParams } from "cosmjs-types/tendermint/types/params";
import { describe, expect, test } from "vitest";
import { createKaratApp, STORES } from "../../app/compose.ts";
import { blockContext } from "../../app/context.ts";
import { SDK } from "../../app/errors.ts";
import { State } from "../../app/state.ts";
import { AppHarness, type Signer, sendMessage, TEST_MODEL, testParticipant } from "../../app/testing/index.ts";
import { MemoryCommitStore } from "../../store/index.ts";
import { LOCALNET_PARAMS, PARAMS_ERRORS } from "../params/index.ts";
import { endPeriods, KEPT_PROPOSALS } from "./endBlock.ts";
import { GOV_ERRORS, MAX_OPEN } from "./index.ts";
import { ending, endOf, nextId, proposals, STORE } from "./keys.ts";

const { YES, NO, VETO, ABSTAIN } = {
  YES: VoteOption.VOTE_OPTION_YES,
  NO: VoteOption.VOTE_OPTION_NO,
  VETO: VoteOption.VOTE_OPTION_NO_WITH_VETO,
  ABSTAIN: VoteOption.VOTE_OPTION_ABSTAIN,
};
const Status = ProposalStatus;
const GOV = moduleAddress("gov");
const COMMUNITY = moduleAddress("community");
const MIN = LOCALNET_PARAMS.govMinDeposit;
const VOTING = LOCALNET_PARAMS.govVotingBlocks;
const FEE = { gasLimit: 1_000_000n, fee: 100_000n } as const;
const registry = createKaratRegistry();
const coins = (amount: bigint) => [{ denom: DENOM, amount: amount.toString() }];

class Chain {
  readonly harness: AppHarness;
  readonly operators: readonly Signer[];

  constructor(participants = 5, change: Partial<paramsProto.Params> = {}) {
    this.operators = Array.from({ length: participants }, (_, i) => testParticipant(i).operator);
    this.harness = new AppHarness({
      participants,
      clients: 2,
      accounts: this.operators.map(({ address }) => ({ address, amount: 10n ** 10n })),
      params: { ...LOCALNET_PARAMS, ...change },
    });
  }

  /** The code and codespace of one message in its own block. */
  send(signer: Signer, typeUrl: string, value: object): { code: number; codespace: string; data: Uint8Array } {
    return this.harness.deliver([this.harness.tx(signer, { typeUrl, value }, FEE)]).results[0]!;
  }

  propose(messages: { typeUrl: string; value: object }[], options: { deposit?: bigint; by?: Signer } = {}) {
    const by = options.by ?? this.harness.rich;
    return this.send(by, "/cosmos.gov.v1.MsgSubmitProposal", {
      messages: messages.map((message) => registry.encodeAsAny(message)),
      initialDeposit: coins(options.deposit ?? MIN),
      proposer: by.address,
      metadata: "",
      title: "A title",
      summary: "What it is about",
      expedited: false,
    });
  }

  /** Throws where it is refused. */
  proposed(messages: { typeUrl: string; value: object }[], options: { deposit?: bigint; by?: Signer } = {}): bigint {
    const { code, data } = this.propose(messages, options);
    expect(code).toBe(0);
    return MsgSubmitProposalResponse.decode(TxMsgData.decode(data).msgResponses[0]!.value).proposalId;
  }

  vote = (id: bigint, voter: Signer, option: VoteOption) =>
    this.send(voter, "/cosmos.gov.v1.MsgVote", { proposalId: id, voter: voter.address, option, metadata: "" });

  proposal(id: bigint) {
    const { QueryProposalRequest: Request, QueryProposalResponse: Response } = query;
    return this.harness.query("/cosmos.gov.v1.Query/Proposal", Request, Response, { proposalId: id }).proposal!;
  }

  tally(id: bigint) {
    const { QueryTallyResultRequest: Request, QueryTallyResultResponse: Response } = query;
    return this.harness.query("/cosmos.gov.v1.Query/TallyResult", Request, Response, { proposalId: id }).tally!;
  }

  params(): paramsProto.Params {
    const { QueryParamsRequest, QueryParamsResponse } = paramsProto;
    return this.harness.query("/karat.params.v1.Query/Params", QueryParamsRequest, QueryParamsResponse, {}).params!;
  }

  balance = (address: string): bigint =>
    BigInt(
      this.harness.query("/cosmos.bank.v1beta1.Query/Balance", QueryBalanceRequest, QueryBalanceResponse, {
        address,
        denom: DENOM,
      }).balance?.amount ?? "0",
    );

  toEnd(id: bigint): void {
    const before = this.proposal(id).status;
    for (let i = 0n; i <= VOTING + 1n && this.proposal(id).status === before; i++) this.harness.deliver();
  }
}

const update = (change: Partial<paramsProto.Params>, authority = GOV) => ({
  typeUrl: typeUrls.updateParams,
  value: { authority, params: { ...LOCALNET_PARAMS, ...change } },
});

describe("a change of parameters", () => {
  test("is proposed, voted on, carried out, and in force from the next epoch on", () => {
    const chain = new Chain();
    const before = chain.balance(chain.harness.rich.address);
    const id = chain.proposed([update({ failureFine: 7n })]);
    expect(chain.proposal(id)).toMatchObject({
      status: Status.PROPOSAL_STATUS_VOTING_PERIOD,
      totalDeposit: coins(MIN),
    });
    for (const operator of chain.operators.slice(0, 3)) expect(chain.vote(id, operator, YES).code).toBe(0);
    expect(chain.tally(id)).toMatchObject({ yesCount: "300", noCount: "0" });
    chain.toEnd(id);
    expect(chain.proposal(id)).toMatchObject({
      status: Status.PROPOSAL_STATUS_PASSED,
      finalTallyResult: { yesCount: "300", abstainCount: "0", noCount: "0", noWithVetoCount: "0" },
    });
    expect(chain.balance(chain.harness.rich.address)).toBe(before - FEE.fee);
    expect(chain.params().failureFine).toBe(LOCALNET_PARAMS.failureFine);
    chain.harness.jump(Number(LOCALNET_PARAMS.epochBlocks));
    expect(chain.params()).toEqual({ ...LOCALNET_PARAMS, failureFine: 7n });
  });

  test("that is out of range is refused when it is proposed", () => {
    const chain = new Chain();
    expect(chain.propose([update({ slashBps: 10_001 })])).toMatchObject(GOV_ERRORS.invalidMessage);
    expect(chain.propose([update({ epochBlocks: 0n })])).toMatchObject(GOV_ERRORS.invalidMessage);
    expect(chain.propose([update({}, chain.operators[0]!.address)])).toMatchObject(GOV_ERRORS.invalidSigner);
  });

  test("lists a model at once", () => {
    const chain = new Chain();
    const model = { ...TEST_MODEL, id: "new-model" };
    const id = chain.proposed([{ typeUrl: typeUrls.setModel, value: { authority: GOV, model } }]);
    for (const operator of chain.operators) chain.vote(id, operator, YES);
    chain.toEnd(id);
    const { QueryModelsRequest, QueryModelsResponse } = paramsProto;
    const { models } = chain.harness.query(
      "/karat.params.v1.Query/Models",
      QueryModelsRequest,
      QueryModelsResponse,
      {},
    );
    expect(models.map(({ id: name }) => name)).toContain("new-model");
  });

  test("by anybody but governance is refused, whoever signs", () => {
    const chain = new Chain();
    const [operator] = chain.operators as [Signer];
    const asGovernance = () => chain.send(operator, typeUrls.updateParams, update({}).value);
    expect(asGovernance()).toMatchObject(SDK.unknownAddress);
    // Its account exists once it holds a deposit; still nobody has its key.
    chain.proposed([]);
    expect(asGovernance()).toMatchObject(SDK.invalidPubKey);
    expect(chain.send(operator, typeUrls.updateParams, update({}, operator.address).value)).toMatchObject(
      SDK.unauthorized,
    );
    expect(chain.params()).toEqual(LOCALNET_PARAMS);
  });

  test("fails as a whole where one of its messages fails, and the chain goes on", () => {
    const chain = new Chain(5, { signedBlocksWindow: 0n });
    const plan = { name: "v9", height: chain.harness.height + 20n, info: "", time: { seconds: 0n, nanos: 0 } };
    const upgrade = { typeUrl: "/cosmos.upgrade.v1beta1.MsgSoftwareUpgrade", value: { authority: GOV, plan } };
    // The height is to come when it is proposed, and past when it is carried out.
    const id = chain.proposed([update({ failureFine: 7n }), upgrade]);
    for (const operator of chain.operators) chain.vote(id, operator, YES);
    chain.toEnd(id);
    const decided = chain.proposal(id);
    expect(decided.status).toBe(Status.PROPOSAL_STATUS_FAILED);
    expect(decided.failedReason).toContain("upgrade 3");
    chain.harness.jump(Number(LOCALNET_PARAMS.epochBlocks));
    expect(chain.params().failureFine).toBe(LOCALNET_PARAMS.failureFine);
  });
});

describe("the vote", () => {
  const decided = (votes: readonly (VoteOption | undefined)[]) => {
    const chain = new Chain(votes.length);
    const id = chain.proposed([]);
    const [community, held] = [chain.balance(COMMUNITY), chain.balance(chain.harness.rich.address)];
    let fees = 0n;
    votes.forEach((option, i) => {
      if (option === undefined) return;
      expect(chain.vote(id, chain.operators[i]!, option).code).toBe(0);
      fees += FEE.fee;
    });
    chain.toEnd(id);
    return {
      status: chain.proposal(id).status,
      returned: chain.balance(chain.harness.rich.address) - held,
      forfeited: chain.balance(COMMUNITY) - community - fees >= MIN,
    };
  };

  test.each([
    ["most are for it", [YES, YES, NO, undefined, undefined], Status.PROPOSAL_STATUS_PASSED],
    ["half are for it", [YES, NO, undefined, undefined, ABSTAIN], Status.PROPOSAL_STATUS_REJECTED],
    ["too few vote", [YES, undefined, undefined, undefined, undefined], Status.PROPOSAL_STATUS_REJECTED],
    ["nobody votes", [undefined, undefined, undefined, undefined, undefined], Status.PROPOSAL_STATUS_REJECTED],
    ["all abstain", [ABSTAIN, ABSTAIN, ABSTAIN, ABSTAIN, ABSTAIN], Status.PROPOSAL_STATUS_REJECTED],
    ["abstentions make the quorum", [YES, ABSTAIN, undefined, undefined, undefined], Status.PROPOSAL_STATUS_PASSED],
  ])("%s", (_, votes, status) => {
    expect(decided(votes)).toEqual({ status, returned: MIN, forfeited: false });
  });

  test("a veto rejects and forfeits the deposit", () => {
    const status = Status.PROPOSAL_STATUS_REJECTED;
    expect(decided([YES, YES, YES, VETO, VETO])).toEqual({ status, returned: 0n, forfeited: true });
  });

  test("is split as the voter says, and the last one counts", () => {
    const chain = new Chain();
    const id = chain.proposed([]);
    const [voter] = chain.operators as [Signer];
    const split = (...options: [VoteOption, string][]) =>
      chain.send(voter, "/cosmos.gov.v1.MsgVoteWeighted", {
        proposalId: id,
        voter: voter.address,
        options: options.map(([option, weight]) => ({ option, weight })),
        metadata: "",
      });
    expect(chain.vote(id, voter, NO).code).toBe(0);
    expect(split([YES, "0.700000000000000000"], [ABSTAIN, "0.3"]).code).toBe(0);
    expect(chain.tally(id)).toEqual({ yesCount: "70", abstainCount: "30", noCount: "0", noWithVetoCount: "0" });
    for (const bad of [
      [[YES, "0.7"]],
      [
        [YES, "0.7"],
        [NO, "0.4"],
      ],
      [
        [YES, "0.5"],
        [YES, "0.5"],
      ],
      [
        [YES, "1.5"],
        [NO, "-0.5"],
      ],
      [[VoteOption.VOTE_OPTION_UNSPECIFIED, "1"]],
      [[YES, "1e0"]],
      [
        [YES, "0.0"],
        [NO, "1"],
      ],
      [],
    ] as [VoteOption, string][][]) {
      expect(split(...bad)).toMatchObject(GOV_ERRORS.invalidVote);
    }
  });

  test("is of operators, in the voting period", () => {
    const chain = new Chain();
    const waiting = chain.proposed([], { deposit: MIN / 10n });
    const voting = chain.proposed([]);
    const [client] = chain.harness.clients as [Signer];
    expect(chain.vote(voting, client, YES)).toMatchObject(GOV_ERRORS.noVoter);
    expect(chain.vote(waiting, chain.operators[0]!, YES)).toMatchObject(GOV_ERRORS.inactiveProposal);
    expect(chain.vote(99n, chain.operators[0]!, YES)).toMatchObject(GOV_ERRORS.unknownProposal);
    chain.toEnd(voting);
    expect(chain.vote(voting, chain.operators[0]!, YES)).toMatchObject(GOV_ERRORS.inactiveProposal);
  });
});

describe("the deposit", () => {
  const more = (chain: Chain, id: bigint, by: Signer, amount: bigint) =>
    chain.send(by, "/cosmos.gov.v1.MsgDeposit", { proposalId: id, depositor: by.address, amount: coins(amount) });

  test("comes together from several, and each has its own back", () => {
    const chain = new Chain();
    const [a, b] = chain.harness.clients as [Signer, Signer];
    const held = [a, b].map(({ address }) => chain.balance(address));
    const id = chain.proposed([], { by: a, deposit: MIN / 2n });
    expect(more(chain, id, b, MIN / 2n - 1n).code).toBe(0);
    expect(chain.proposal(id).status).toBe(Status.PROPOSAL_STATUS_DEPOSIT_PERIOD);
    expect(more(chain, id, b, 1n).code).toBe(0);
    expect(chain.proposal(id).status).toBe(Status.PROPOSAL_STATUS_VOTING_PERIOD);
    expect(more(chain, id, a, 5n).code).toBe(0);
    chain.toEnd(id);
    expect([a, b].map(({ address }) => chain.balance(address))).toEqual(held.map((before) => before - 2n * FEE.fee));
    expect(more(chain, id, a, 5n)).toMatchObject(GOV_ERRORS.inactiveProposal);
  });

  test("that does not come together in time goes to the community, with the proposal", () => {
    const chain = new Chain();
    const id = chain.proposed([], { deposit: MIN / 10n });
    const before = chain.balance(COMMUNITY);
    chain.harness.jump(Number(LOCALNET_PARAMS.govDepositBlocks));
    expect(() => chain.proposal(id)).toThrow();
    expect(chain.balance(COMMUNITY) - before).toBeGreaterThanOrEqual(MIN / 10n);
  });

  test.each<[string, object[]]>([
    ["nothing", []],
    ["zero", [{ denom: DENOM, amount: "0" }]],
    ["another coin", [{ denom: "uatom", amount: "5" }]],
    ["two coins", [...coins(5n), { denom: "uatom", amount: "5" }]],
    ["no number", [{ denom: DENOM, amount: "1e6" }]],
  ])("is refused: %s", (_, amount) => {
    const chain = new Chain(1);
    const { rich } = chain.harness;
    const value = {
      messages: [],
      initialDeposit: amount,
      proposer: rich.address,
      metadata: "",
      title: "t",
      summary: "s",
      expedited: false,
    };
    expect(chain.send(rich, "/cosmos.gov.v1.MsgSubmitProposal", value)).toMatchObject(SDK.invalidCoins);
  });

  test("is a tenth of what a vote needs at least, and open proposals are bounded", () => {
    const chain = new Chain(1);
    expect(chain.propose([], { deposit: MIN / 10n - 1n })).toMatchObject(GOV_ERRORS.depositTooSmall);
    const { harness } = chain;
    const value = {
      messages: [],
      initialDeposit: coins(MIN / 10n),
      proposer: harness.rich.address,
      metadata: "",
      title: "t",
      summary: "s",
      expedited: false,
    };
    const message = { typeUrl: "/cosmos.gov.v1.MsgSubmitProposal", value };
    const txs = Array.from({ length: MAX_OPEN + 1 }, () => harness.tx(harness.rich, message, FEE));
    const { results } = harness.deliver(txs);
    expect(results.slice(0, MAX_OPEN).every(({ code }) => code === 0)).toBe(true);
    expect(results[MAX_OPEN]).toMatchObject(GOV_ERRORS.tooManyProposals);
    // More than one block decides at once: the rest follows in the next blocks.
    harness.jump(Number(LOCALNET_PARAMS.govDepositBlocks) + MAX_OPEN / 2);
    expect(chain.propose([], { deposit: MIN / 10n }).code).toBe(0);
  });
});

test("proposals carry nothing that is not governance's", () => {
  const chain = new Chain(1);
  const [a, b] = chain.harness.clients as [Signer, Signer];
  expect(chain.propose([sendMessage(a, b, 1n)])).toMatchObject(GOV_ERRORS.invalidSigner);
  expect(chain.propose(Array.from({ length: 9 }, () => update({})))).toMatchObject(GOV_ERRORS.invalidProposal);
  const model = { ...TEST_MODEL, id: "" };
  const bad = { typeUrl: typeUrls.setModel, value: { authority: GOV, model } };
  expect(chain.propose([bad])).toMatchObject(GOV_ERRORS.invalidMessage);
  expect(PARAMS_ERRORS.invalidModel.codespace).toBe("params");
});

test("proposals, votes and deposits are listed, and an exported chain imports to the same", () => {
  const chain = new Chain();
  const id = chain.proposed([update({ failureFine: 7n })]);
  const waiting = chain.proposed([], { deposit: MIN / 10n });
  for (const operator of chain.operators.slice(0, 2)) chain.vote(id, operator, YES);
  const { harness } = chain;
  const listed = (fields: object) =>
    harness
      .query(
        "/cosmos.gov.v1.Query/Proposals",
        query.QueryProposalsRequest,
        query.QueryProposalsResponse,
        query.QueryProposalsRequest.fromPartial(fields),
      )
      .proposals.map((each) => each.id);
  expect(listed({})).toEqual([id, waiting]);
  expect(listed({ proposalStatus: Status.PROPOSAL_STATUS_DEPOSIT_PERIOD })).toEqual([waiting]);
  expect(listed({ voter: chain.operators[0]!.address })).toEqual([id]);
  expect(listed({ depositor: chain.operators[0]!.address })).toEqual([]);
  const { votes } = harness.query("/cosmos.gov.v1.Query/Votes", query.QueryVotesRequest, query.QueryVotesResponse, {
    proposalId: id,
  });
  expect(votes.map(({ voter }) => voter).sort()).toEqual(
    chain.operators
      .slice(0, 2)
      .map(({ address }) => address)
      .sort(),
  );
  const { deposits } = harness.query(
    "/cosmos.gov.v1.Query/Deposits",
    query.QueryDepositsRequest,
    query.QueryDepositsResponse,
    { proposalId: waiting },
  );
  expect(deposits).toEqual([{ proposalId: waiting, depositor: harness.rich.address, amount: coins(MIN / 10n) }]);
  const { params } = harness.query("/cosmos.gov.v1.Query/Params", query.QueryParamsRequest, query.QueryParamsResponse, {
    paramsType: "voting",
  });
  expect(params).toMatchObject({ quorum: "0.334000000000000000", minDeposit: coins(MIN) });
  const genesis = {
    time: { seconds: 1_800_000_000n, nanos: 0 },
    chainId: harness.chainId,
    consensusParams: ConsensusParams.fromPartial({ block: { maxBytes: 1_000_000n, maxGas: 10_000_000n } }),
    validators: [],
    appStateBytes: utf8(JSON.stringify(harness.app.exportGenesis())),
    initialHeight: harness.height + 1n,
  };
  const store = new MemoryCommitStore(STORES);
  const again = createKaratApp({ store, log: silentLogger, checkInvariants: true });
  again.initChain(genesis);
  expect(again.exportGenesis().gov).toEqual(harness.app.exportGenesis().gov);
});

test("of the decided proposals the newest stay, the open ones all", () => {
  const ctx = blockContext(
    { chainId: "karat-gov", height: 50n, time: { seconds: 0n, nanos: 0 }, blockHash: new Uint8Array() },
    State.of(new MemoryCommitStore(STORES)),
  );
  const store = ctx.store(STORE);
  const newest = 1n + KEPT_PROPOSALS;
  for (const id of [1n, 2n, 3n, newest]) {
    proposals.set(store, id, Proposal.fromPartial({ id, status: Status.PROPOSAL_STATUS_REJECTED }));
  }
  nextId.set(store, newest + 2n);
  // 2 and the last one wait for their deposits; the time of the last one is over.
  for (const [id, end] of [
    [2n, 90n],
    [newest + 1n, 50n],
  ] as const) {
    proposals.set(store, id, Proposal.fromPartial({ id, status: Status.PROPOSAL_STATUS_DEPOSIT_PERIOD }));
    ending.set(store, [end, id], true);
    endOf.set(store, id, end);
  }
  const unasked = () => {
    throw new Error("nobody is asked");
  };
  const bank = { balance: unasked, send: unasked, mint: unasked };
  const others = { params: { get: unasked }, participants: { byOperator: unasked }, epochs: { members: unasked } };
  endPeriods({ bank, ...others, handler: unasked }, ctx);
  expect(Array.from(proposals.entries(store), ([id]) => id)).toEqual([2n, 3n, newest]);
});
