/**
 * Modules of the Cosmos SDK that this chain has no use for, in empty lists and zeros: wallets and explorers ask for them
 * without asking whether they are there.
 */
import { DENOM } from "@karat/common";
import { reward } from "@karat/proto";
import { wholeDecimal, ZERO_DECIMAL } from "../formats.ts";
import { constant, query } from "../route.ts";
import { NO_PAGE } from "./noPage.ts";

const DISTRIBUTION = "/cosmos/distribution/v1beta1";
export const distributionRoutes = [
  constant(`${DISTRIBUTION}/params`, () => ({
    params: {
      community_tax: ZERO_DECIMAL,
      base_proposer_reward: ZERO_DECIMAL,
      bonus_proposer_reward: ZERO_DECIMAL,
      withdraw_addr_enabled: false,
    },
  })),
  query(`${DISTRIBUTION}/community_pool`, {
    method: "/karat.reward.v1.Query/Pools",
    request: reward.QueryPoolsRequest,
    response: reward.QueryPoolsResponse,
    body: ({ community }) => ({
      pool: community === 0n ? [] : [{ denom: DENOM, amount: wholeDecimal(community) }],
    }),
  }),
  constant(`${DISTRIBUTION}/delegators/:address/rewards`, (input) => {
    input.address("address");
    return { rewards: [], total: [] };
  }),
  constant(`${DISTRIBUTION}/delegators/:address/rewards/:validator`, (input) => {
    input.address("address");
    return { rewards: [] };
  }),
  constant(`${DISTRIBUTION}/delegators/:address/validators`, (input) => {
    input.address("address");
    return { validators: [] };
  }),
  constant(`${DISTRIBUTION}/delegators/:address/withdraw_address`, (input) => ({
    withdraw_address: input.address("address"),
  })),
  constant(`${DISTRIBUTION}/validators/:validator`, (input) => ({
    operator_address: input.path("validator"),
    self_bond_rewards: [],
    commission: [],
  })),
  constant(`${DISTRIBUTION}/validators/:validator/commission`, () => ({ commission: { commission: [] } })),
  constant(`${DISTRIBUTION}/validators/:validator/outstanding_rewards`, () => ({ rewards: { rewards: [] } })),
  constant(`${DISTRIBUTION}/validators/:validator/slashes`, () => ({ slashes: [], pagination: NO_PAGE })),
];

const MINT = "/cosmos/mint/v1beta1";
export const mintRoutes = [
  constant(`${MINT}/inflation`, () => ({ inflation: ZERO_DECIMAL })),
  constant(`${MINT}/annual_provisions`, () => ({ annual_provisions: ZERO_DECIMAL })),
  constant(`${MINT}/params`, () => ({
    params: {
      mint_denom: DENOM,
      inflation_rate_change: ZERO_DECIMAL,
      inflation_max: ZERO_DECIMAL,
      inflation_min: ZERO_DECIMAL,
      goal_bonded: ZERO_DECIMAL,
      blocks_per_year: "0",
    },
  })),
];
