import { DENOM } from "@karat/common";
import { createKaratRegistry, typeUrls } from "@karat/proto";
import { afterAll, beforeAll, expect, test } from "vitest";
import { LOCALNET_PARAMS } from "../modules/params/index.ts";
import { GOVERNANCE } from "../modules/support/authority.ts";
import { type Served, serve } from "./testing/served.ts";

let served: Served;
const deposit = [{ denom: DENOM, amount: LOCALNET_PARAMS.govMinDeposit.toString() }];

beforeAll(async () => {
  served = await serve();
  const { chain } = served;
  const value = { authority: GOVERNANCE, params: { ...LOCALNET_PARAMS, failureFine: 7n } };
  chain.execute(chain.rich, {
    typeUrl: "/cosmos.gov.v1.MsgSubmitProposal",
    value: {
      messages: [createKaratRegistry().encodeAsAny({ typeUrl: typeUrls.updateParams, value })],
      initialDeposit: deposit,
      proposer: chain.rich.address,
      metadata: "",
      title: "Fines",
      summary: "Lower fines",
      expedited: false,
    },
  });
});

afterAll(() => served.rest.stop());

test("a proposal is shown with its message opened, as explorers read it", async () => {
  const { status, body } = await served.ask("/cosmos/gov/v1/proposals/1");
  expect(status).toBe(200);
  expect(body.proposal).toMatchObject({
    id: "1",
    status: "PROPOSAL_STATUS_VOTING_PERIOD",
    total_deposit: deposit,
    title: "Fines",
    voting_end_time: expect.stringMatching(/^20\d\d-/),
    messages: [{ "@type": typeUrls.updateParams, authority: GOVERNANCE, params: { failure_fine: "7" } }],
  });
});

test("lists, deposits, votes and the tally", async () => {
  for (const filter of [
    "",
    "?proposal_status=2",
    "?proposal_status=PROPOSAL_STATUS_VOTING_PERIOD",
    "?pagination.reverse=true",
  ]) {
    const { body } = await served.ask(`/cosmos/gov/v1/proposals${filter}`);
    expect(body.proposals.map(({ id }: { id: string }) => id)).toEqual(["1"]);
  }
  expect((await served.ask("/cosmos/gov/v1/proposals?proposal_status=3")).body.proposals).toEqual([]);
  expect((await served.ask("/cosmos/gov/v1/proposals?proposal_status=x")).status).toBe(400);
  const depositor = served.chain.rich.address;
  const made = { proposal_id: "1", depositor, amount: deposit };
  expect((await served.ask("/cosmos/gov/v1/proposals/1/deposits")).body.deposits).toEqual([made]);
  expect((await served.ask(`/cosmos/gov/v1/proposals/1/deposits/${depositor}`)).body.deposit).toEqual(made);
  expect((await served.ask("/cosmos/gov/v1/proposals/1/votes")).body.votes).toEqual([]);
  expect((await served.ask("/cosmos/gov/v1/proposals/1/tally")).body.tally).toEqual({
    yes_count: "0",
    abstain_count: "0",
    no_count: "0",
    no_with_veto_count: "0",
  });
  expect((await served.ask("/cosmos/upgrade/v1beta1/module_versions")).body).toEqual({
    module_versions: [{ name: "karat", version: "1" }],
  });
});
