/** cosmos.gov v1 and the plan of an upgrade. The v1beta1 paths, which cannot show what v1 holds, are empty. */
import { proposalStatusFromJSON, proposalStatusToJSON, voteOptionToJSON } from "cosmjs-types/cosmos/gov/v1/gov";
import * as gov from "cosmjs-types/cosmos/gov/v1/query";
import * as upgrade from "cosmjs-types/cosmos/upgrade/v1beta1/query";
import { duration } from "../formats.ts";
import type { Input } from "../input.ts";
import { constant, query } from "../route.ts";
import { invalidArgument, restError } from "../status.ts";
import { NO_PAGE } from "./noPage.ts";

const GOV = "/cosmos.gov.v1.Query";
const PROPOSAL = { status: proposalStatusToJSON };
const VOTE = { option: voteOptionToJSON };

/** By number or by name, as gateways take it. */
function statusOf(input: Input): number {
  const text = input.query("proposal_status");
  const status = text === "" ? 0 : proposalStatusFromJSON(/^\d$/.test(text) ? Number(text) : text);
  if (status < 0) throw invalidArgument("proposal_status is no status of a proposal", { proposal_status: text });
  return status;
}

/** Explorers ask for the newest first; pages go forward, and the lists are short. */
const page = (input: Input) => ({ ...input.pagination(), reverse: false });

const noProposal = (input: Input) => {
  throw restError("rest/not-found", `proposal ${input.u64("id")} doesn't exist`);
};

export const govRoutes = [
  query("/cosmos/gov/v1/proposals", {
    method: `${GOV}/Proposals`,
    request: gov.QueryProposalsRequest,
    response: gov.QueryProposalsResponse,
    fields: (input) => ({
      proposalStatus: statusOf(input),
      voter: input.query("voter"),
      depositor: input.query("depositor"),
      pagination: page(input),
    }),
    formats: PROPOSAL,
  }),
  query("/cosmos/gov/v1/proposals/:id", {
    method: `${GOV}/Proposal`,
    request: gov.QueryProposalRequest,
    response: gov.QueryProposalResponse,
    fields: (input) => ({ proposalId: input.u64("id") }),
    formats: PROPOSAL,
  }),
  query("/cosmos/gov/v1/proposals/:id/votes", {
    method: `${GOV}/Votes`,
    request: gov.QueryVotesRequest,
    response: gov.QueryVotesResponse,
    fields: (input) => ({ proposalId: input.u64("id"), pagination: page(input) }),
    formats: VOTE,
  }),
  query("/cosmos/gov/v1/proposals/:id/votes/:address", {
    method: `${GOV}/Vote`,
    request: gov.QueryVoteRequest,
    response: gov.QueryVoteResponse,
    fields: (input) => ({ proposalId: input.u64("id"), voter: input.address("address") }),
    formats: VOTE,
  }),
  query("/cosmos/gov/v1/proposals/:id/deposits", {
    method: `${GOV}/Deposits`,
    request: gov.QueryDepositsRequest,
    response: gov.QueryDepositsResponse,
    fields: (input) => ({ proposalId: input.u64("id"), pagination: page(input) }),
  }),
  query("/cosmos/gov/v1/proposals/:id/deposits/:address", {
    method: `${GOV}/Deposit`,
    request: gov.QueryDepositRequest,
    response: gov.QueryDepositResponse,
    fields: (input) => ({ proposalId: input.u64("id"), depositor: input.address("address") }),
  }),
  query("/cosmos/gov/v1/proposals/:id/tally", {
    method: `${GOV}/TallyResult`,
    request: gov.QueryTallyResultRequest,
    response: gov.QueryTallyResultResponse,
    fields: (input) => ({ proposalId: input.u64("id") }),
  }),
  query("/cosmos/gov/v1/params/:kind", {
    method: `${GOV}/Params`,
    request: gov.QueryParamsRequest,
    response: gov.QueryParamsResponse,
    fields: (input) => ({ paramsType: input.path("kind") }),
    formats: { maxDepositPeriod: duration, votingPeriod: duration },
  }),
  constant("/cosmos/gov/v1beta1/proposals", () => ({ proposals: [], pagination: NO_PAGE })),
  constant("/cosmos/gov/v1beta1/proposals/:id", noProposal),
  constant("/cosmos/gov/v1beta1/proposals/:id/:part", noProposal),
  constant("/cosmos/gov/v1beta1/proposals/:id/:part/:address", noProposal),

  query("/cosmos/upgrade/v1beta1/current_plan", {
    method: "/cosmos.upgrade.v1beta1.Query/CurrentPlan",
    request: upgrade.QueryCurrentPlanRequest,
    response: upgrade.QueryCurrentPlanResponse,
  }),
  query("/cosmos/upgrade/v1beta1/applied_plan/:name", {
    method: "/cosmos.upgrade.v1beta1.Query/AppliedPlan",
    request: upgrade.QueryAppliedPlanRequest,
    response: upgrade.QueryAppliedPlanResponse,
    fields: (input) => ({ name: input.path("name") }),
  }),
  query("/cosmos/upgrade/v1beta1/module_versions", {
    method: "/cosmos.upgrade.v1beta1.Query/ModuleVersions",
    request: upgrade.QueryModuleVersionsRequest,
    response: upgrade.QueryModuleVersionsResponse,
  }),
];
