/** cosmos.staking: the consensus set as validators. Nobody delegates, so lists of delegations are empty. */
import * as staking from "cosmjs-types/cosmos/staking/v1beta1/query";
import { bondStatusToJSON } from "cosmjs-types/cosmos/staking/v1beta1/staking";
import { decimal, duration } from "../formats.ts";
import { constant, query } from "../route.ts";
import { NO_PAGE } from "./noPage.ts";

const STAKING = "/cosmos.staking.v1beta1.Query";
const VALIDATOR = {
  status: bondStatusToJSON,
  delegatorShares: decimal,
  rate: decimal,
  maxRate: decimal,
  maxChangeRate: decimal,
};

export const stakingRoutes = [
  query("/cosmos/staking/v1beta1/validators", {
    method: `${STAKING}/Validators`,
    request: staking.QueryValidatorsRequest,
    response: staking.QueryValidatorsResponse,
    fields: (input) => ({ status: input.query("status"), pagination: input.pagination() }),
    formats: VALIDATOR,
  }),
  query("/cosmos/staking/v1beta1/validators/:validator", {
    method: `${STAKING}/Validator`,
    request: staking.QueryValidatorRequest,
    response: staking.QueryValidatorResponse,
    fields: (input) => ({ validatorAddr: input.path("validator") }),
    formats: VALIDATOR,
  }),
  query("/cosmos/staking/v1beta1/pool", {
    method: `${STAKING}/Pool`,
    request: staking.QueryPoolRequest,
    response: staking.QueryPoolResponse,
  }),
  query("/cosmos/staking/v1beta1/params", {
    method: `${STAKING}/Params`,
    request: staking.QueryParamsRequest,
    response: staking.QueryParamsResponse,
    formats: { unbondingTime: duration, minCommissionRate: decimal },
  }),
  query("/cosmos/staking/v1beta1/delegations/:address", {
    method: `${STAKING}/DelegatorDelegations`,
    request: staking.QueryDelegatorDelegationsRequest,
    response: staking.QueryDelegatorDelegationsResponse,
    fields: (input) => ({ delegatorAddr: input.address("address"), pagination: input.pagination() }),
  }),
  query("/cosmos/staking/v1beta1/delegators/:address/unbonding_delegations", {
    method: `${STAKING}/DelegatorUnbondingDelegations`,
    request: staking.QueryDelegatorUnbondingDelegationsRequest,
    response: staking.QueryDelegatorUnbondingDelegationsResponse,
    fields: (input) => ({ delegatorAddr: input.address("address"), pagination: input.pagination() }),
  }),
  query("/cosmos/staking/v1beta1/validators/:validator/delegations/:address", {
    method: `${STAKING}/Delegation`,
    request: staking.QueryDelegationRequest,
    response: staking.QueryDelegationResponse,
    fields: (input) => ({ delegatorAddr: input.address("address"), validatorAddr: input.path("validator") }),
  }),
  constant("/cosmos/staking/v1beta1/validators/:validator/delegations", () => ({
    delegation_responses: [],
    pagination: NO_PAGE,
  })),
  constant("/cosmos/staking/v1beta1/validators/:validator/unbonding_delegations", () => ({
    unbonding_responses: [],
    pagination: NO_PAGE,
  })),
  constant("/cosmos/staking/v1beta1/delegators/:address/redelegations", (input) => {
    input.address("address");
    return { redelegation_responses: [], pagination: NO_PAGE };
  }),
  constant("/cosmos/staking/v1beta1/delegators/:address/validators", (input) => {
    input.address("address");
    return { validators: [], pagination: NO_PAGE };
  }),
];
