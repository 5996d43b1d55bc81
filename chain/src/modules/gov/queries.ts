/** cosmos.gov.v1.Query, as wallets and explorers ask. */

import type { params } from "@karat/proto";
import { type Params, type Proposal, ProposalStatus, type TallyResult } from "cosmjs-types/cosmos/gov/v1/gov";
import {
  QueryDepositRequest,
  QueryDepositResponse,
  QueryDepositsRequest,
  QueryDepositsResponse,
  QueryParamsRequest,
  QueryParamsResponse,
  QueryProposalRequest,
  QueryProposalResponse,
  QueryProposalsRequest,
  QueryProposalsResponse,
  QueryTallyResultRequest,
  QueryTallyResultResponse,
  QueryVoteRequest,
  QueryVoteResponse,
  QueryVotesRequest,
  QueryVotesResponse,
} from "cosmjs-types/cosmos/gov/v1/query";
import type { Context, QueryHandler } from "../../app/module.ts";
import { readPage } from "../../app/pages.ts";
import { u64 } from "../../store/collections.ts";
import { durationOf } from "../support/blockTime.ts";
import { defineQuery, found } from "../support/query.ts";
import { currentTally } from "./endBlock.ts";
import type { GovDeps } from "./expects.ts";
import { deposits, proposals, STORE, votes } from "./keys.ts";
import { coinsOf } from "./money.ts";
import { microsText } from "./transition.ts";

const SERVICE = "/cosmos.gov.v1.Query";
const NO_TALLY: TallyResult = { yesCount: "0", abstainCount: "0", noCount: "0", noWithVetoCount: "0" };
const utf8 = new TextEncoder();

export function govQueries(deps: GovDeps): Readonly<Record<string, QueryHandler>> {
  const proposalOf = (ctx: Context, id: bigint): Proposal =>
    found(proposals.get(ctx.store(STORE), id), `proposal ${id}`);
  return {
    [`${SERVICE}/Proposal`]: defineQuery(QueryProposalRequest, QueryProposalResponse, (ctx, { proposalId }) => ({
      proposal: proposalOf(ctx, proposalId),
    })),

    /** In order of ids; filters by status, voter and depositor look at what the page walks over. */
    [`${SERVICE}/Proposals`]: defineQuery(QueryProposalsRequest, QueryProposalsResponse, (ctx, request) => {
      const { proposalStatus, voter, depositor, pagination } = request;
      const store = ctx.store(STORE);
      const wanted = function* (from: Uint8Array | undefined) {
        for (const [id, proposal] of proposals.entries(store, from === undefined ? {} : { from: u64.decode(from) })) {
          if (proposalStatus !== ProposalStatus.PROPOSAL_STATUS_UNSPECIFIED && proposal.status !== proposalStatus)
            continue;
          if (voter !== "" && !votes.has(store, [id, voter])) continue;
          if (depositor !== "" && !deposits.has(store, [id, depositor])) continue;
          yield proposal;
        }
      };
      const page = readPage(pagination, wanted, ({ id }) => u64.encode(id));
      return { proposals: page.items, pagination: page.pagination };
    }),

    [`${SERVICE}/Vote`]: defineQuery(QueryVoteRequest, QueryVoteResponse, (ctx, { proposalId, voter }) => ({
      vote: found(votes.get(ctx.store(STORE), [proposalId, voter]), `vote of ${voter} on proposal ${proposalId}`),
    })),

    [`${SERVICE}/Votes`]: defineQuery(QueryVotesRequest, QueryVotesResponse, (ctx, { proposalId, pagination }) => {
      const rows = votes.entries(ctx.store(STORE), { prefix: u64.toKey(proposalId) });
      const page = readPage(
        pagination,
        fromText(
          Array.from(rows, ([, vote]) => vote),
          ({ voter }) => voter,
        ),
        ({ voter }) => utf8.encode(voter),
      );
      return { votes: page.items, pagination: page.pagination };
    }),

    [`${SERVICE}/Deposit`]: defineQuery(QueryDepositRequest, QueryDepositResponse, (ctx, { proposalId, depositor }) => {
      const amount = found(deposits.get(ctx.store(STORE), [proposalId, depositor]), `deposit of ${depositor}`);
      return { deposit: { proposalId, depositor, amount: coinsOf(amount) } };
    }),

    [`${SERVICE}/Deposits`]: defineQuery(
      QueryDepositsRequest,
      QueryDepositsResponse,
      (ctx, { proposalId, pagination }) => {
        const rows = deposits.entries(ctx.store(STORE), { prefix: u64.toKey(proposalId) });
        const all = Array.from(rows, ([[, depositor], amount]) => ({ proposalId, depositor, amount: coinsOf(amount) }));
        const page = readPage(
          pagination,
          fromText(all, ({ depositor }) => depositor),
          ({ depositor }) => utf8.encode(depositor),
        );
        return { deposits: page.items, pagination: page.pagination };
      },
    ),

    /** As it stands now in the voting period, then as it was decided. */
    [`${SERVICE}/TallyResult`]: defineQuery(
      QueryTallyResultRequest,
      QueryTallyResultResponse,
      (ctx, { proposalId }) => {
        const { status, finalTallyResult } = proposalOf(ctx, proposalId);
        const voting = status === ProposalStatus.PROPOSAL_STATUS_VOTING_PERIOD;
        return { tally: voting ? currentTally(deps, ctx, proposalId) : (finalTallyResult ?? NO_TALLY) };
      },
    ),

    /** Whatever type is asked for: all of them, and the three parts of old clients. */
    [`${SERVICE}/Params`]: defineQuery(QueryParamsRequest, QueryParamsResponse, (ctx) => {
      const value = paramsOf(deps.params.get(ctx));
      const { minDeposit, maxDepositPeriod, votingPeriod, quorum, threshold, vetoThreshold } = value;
      return {
        params: value,
        depositParams: { minDeposit, ...(maxDepositPeriod && { maxDepositPeriod }) },
        votingParams: { ...(votingPeriod && { votingPeriod }) },
        tallyParams: { quorum, threshold, vetoThreshold },
      };
    }),
  };
}

function fromText<T>(rows: readonly T[], keyOf: (row: T) => string): (from: Uint8Array | undefined) => readonly T[] {
  return (from) => {
    if (from === undefined) return rows;
    const first = new TextDecoder().decode(from);
    return rows.filter((row) => keyOf(row) >= first);
  };
}

function paramsOf(rules: params.Params): Params {
  return {
    minDeposit: coinsOf(rules.govMinDeposit),
    maxDepositPeriod: durationOf(rules.govDepositBlocks),
    votingPeriod: durationOf(rules.govVotingBlocks),
    quorum: microsText(rules.govQuorumMicros),
    threshold: microsText(rules.govThresholdMicros),
    vetoThreshold: microsText(rules.govVetoMicros),
    minInitialDepositRatio: microsText(100_000),
    proposalCancelRatio: "",
    proposalCancelDest: "",
    expeditedThreshold: "",
    expeditedMinDeposit: [],
    burnVoteQuorum: false,
    // What is forfeited goes to the community pool: nothing is burned.
    burnProposalDepositPrevote: false,
    burnVoteVeto: false,
    minDepositRatio: "",
  };
}
