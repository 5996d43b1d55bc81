import { fromBech32, toBech32 } from "@cosmjs/encoding";
import { DENOM } from "@karat/common";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { signerOf } from "../app/testing/index.ts";
import { type Served, serve } from "./testing/served.ts";

let served: Served;
const ask: Served["ask"] = (path, headers) => served.ask(path, headers);

beforeAll(async () => {
  served = await serve();
});

afterAll(() => served.rest.stop());

const rich = signerOf("rich").address;
const DECIMAL = expect.stringMatching(/^\d+\.\d{18}$/);
const EMPTY_PAGE = { next_key: null, total: "0" };
const client = signerOf("client0").address;
const operator = toBech32("karatvaloper", fromBech32(rich).data);

describe("modules that this chain does not have", () => {
  const page = { pagination: EMPTY_PAGE };
  test.each([
    [`/cosmos/staking/v1beta1/delegations/${client}`, { delegation_responses: [], ...page }],
    [`/cosmos/staking/v1beta1/delegators/${client}/unbonding_delegations`, { unbonding_responses: [], ...page }],
    [`/cosmos/staking/v1beta1/delegators/${client}/redelegations`, { redelegation_responses: [], ...page }],
    [`/cosmos/staking/v1beta1/delegators/${client}/validators`, { validators: [], ...page }],
    [`/cosmos/staking/v1beta1/validators/${operator}/delegations`, { delegation_responses: [], ...page }],
    [`/cosmos/staking/v1beta1/validators/${operator}/unbonding_delegations`, { unbonding_responses: [], ...page }],
    ["/cosmos/distribution/v1beta1/params", { params: { community_tax: DECIMAL, withdraw_addr_enabled: false } }],
    [`/cosmos/distribution/v1beta1/delegators/${client}/rewards`, { rewards: [], total: [] }],
    [`/cosmos/distribution/v1beta1/delegators/${client}/rewards/${operator}`, { rewards: [] }],
    [`/cosmos/distribution/v1beta1/delegators/${client}/validators`, { validators: [] }],
    [`/cosmos/distribution/v1beta1/delegators/${client}/withdraw_address`, { withdraw_address: client }],
    [`/cosmos/distribution/v1beta1/validators/${operator}`, { operator_address: operator, commission: [] }],
    [`/cosmos/distribution/v1beta1/validators/${operator}/commission`, { commission: { commission: [] } }],
    [`/cosmos/distribution/v1beta1/validators/${operator}/outstanding_rewards`, { rewards: { rewards: [] } }],
    [`/cosmos/distribution/v1beta1/validators/${operator}/slashes`, { slashes: [], ...page }],
    ["/cosmos/slashing/v1beta1/signing_infos", { info: [], ...page }],
    ["/cosmos/gov/v1/proposals?proposal_status=2", { proposals: [], ...page }],
    ["/cosmos/gov/v1beta1/proposals", { proposals: [], ...page }],
    ["/cosmos/gov/v1/params/voting", { params: { quorum: DECIMAL, voting_period: "300s", burn_vote_veto: false } }],
    ["/cosmos/upgrade/v1beta1/current_plan", { plan: null }],
    ["/cosmos/mint/v1beta1/inflation", { inflation: "0.000000000000000000" }],
    ["/cosmos/mint/v1beta1/annual_provisions", { annual_provisions: DECIMAL }],
    ["/cosmos/mint/v1beta1/params", { params: { mint_denom: DENOM, blocks_per_year: "0" } }],
  ])("%s is empty", async (path, body) => {
    const answer = await ask(path);
    expect([answer.status, answer.body]).toEqual([200, expect.objectContaining(nested(body))]);
  });

  test("the community pool is the chain's own", async () => {
    const { body } = await ask("/cosmos/distribution/v1beta1/community_pool");
    const pools = await ask("/karat/reward/v1/pools");
    const amount = `${pools.body.community}.000000000000000000`;
    expect(body).toEqual({ pool: [{ denom: DENOM, amount }] });
  });

  test.each([
    "/cosmos/gov/v1/proposals/1",
    "/cosmos/gov/v1/proposals/1/tally",
    `/cosmos/gov/v1/proposals/1/votes/${client}`,
    "/cosmos/slashing/v1beta1/signing_infos/karatvalcons1",
    `/cosmos/staking/v1beta1/validators/${operator}`,
    `/cosmos/staking/v1beta1/validators/${operator}/delegations/${client}`,
  ])("%s does not exist", async (path) => {
    const { status, body } = await ask(path);
    expect([status, body]).toEqual([404, { code: 5, message: expect.any(String), details: [] }]);
  });
});

function nested(value: object): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(value).map(([name, inner]) => [
      name,
      name === "params" ? expect.objectContaining(inner as object) : inner,
    ]),
  );
}
