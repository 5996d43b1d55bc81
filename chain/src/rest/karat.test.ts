import { toBase64 } from "@karat/common";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { signerOf, TEST_MODEL } from "../app/testing/index.ts";
import { LOCALNET_PARAMS } from "../modules/params/index.ts";
import { type Served, serve } from "./testing/served.ts";

let served: Served;
const ask: Served["ask"] = (path, headers) => served.ask(path, headers);

beforeAll(async () => {
  served = await serve();
});

afterAll(() => served.rest.stop());

const client = signerOf("client0").address;

describe("karat", () => {
  const id = "ab".repeat(32);
  const first = signerOf("operator0").address;

  test("parameters and models", async () => {
    const { body } = await ask("/karat/params/v1/params");
    expect(body.params).toMatchObject({
      epoch_blocks: String(LOCALNET_PARAMS.epochBlocks),
      min_gas_price_micros: "25000",
    });
    const models = await ask("/karat/params/v1/models");
    expect(models.body.models).toEqual([
      {
        id: TEST_MODEL.id,
        weights_hash: toBase64(TEST_MODEL.weightsHash),
        context_length: 4096,
        detection_micros: 0,
        embedding_dimensions: 0,
        vocabulary_size: 1024,
        quantization: "f16",
        number: 1,
      },
    ]);
  });

  test("participants, page by page, and one by any of its addresses", async () => {
    const all = await ask("/karat/participant/v1/participants");
    expect(all.body.participants).toHaveLength(3);
    expect(all.body.participants[0]).toMatchObject({
      status: "PARTICIPANT_STATUS_ACTIVE",
      collateral: "1000000000",
      convictions: 0,
      excluded_epoch: "0",
      offers: [{ model: TEST_MODEL.id, input_price: "1", output_price: "2", capacity: "100" }],
    });
    const [one, two] = all.body.participants;
    const page = await ask(`/karat/participant/v1/participants?after=${one.operator}&limit=1`);
    expect(page.body.participants).toEqual([two]);
    const byNode = await ask(`/karat/participant/v1/participants/${two.node_address}`);
    expect(byNode.body.participant).toEqual(two);
  });

  test("epochs and beacons", async () => {
    const { body } = await ask("/karat/epoch/v1/epochs/current");
    expect(body.epoch).toMatchObject({ number: "0", settled: false, members: expect.any(Array) });
    expect((await ask("/karat/epoch/v1/epochs/0")).body).toEqual(body);
    const newest = await ask("/karat/epoch/v1/beacons");
    expect(newest.body).toEqual({ height: expect.stringMatching(/^\d+$/), beacon: expect.any(String) });
    const same = await ask(`/karat/epoch/v1/beacons/${newest.body.height}`);
    expect(same.body).toEqual(newest.body);
  });

  test("deposits, standings, reputations, rewards", async () => {
    const deposit = await ask(`/karat/deposit/v1/deposits/${client}`);
    expect(deposit.body.deposit).toEqual({
      client,
      available: "1000000",
      locked: "0",
      refunding: "0",
      refund_height: "0",
    });
    const standing = await ask(`/karat/reputation/v1/standings/${first}`);
    expect(standing.body.standing).toMatchObject({ state: "STANDING_STATE_GOOD", log2_evidence: "0", accusers: [] });
    const reputation = await ask(`/karat/reputation/v1/reputations/${first}/acme/${TEST_MODEL.id}`);
    expect(reputation.body.reputation).toMatchObject({ model: `acme/${TEST_MODEL.id}`, clean_tokens: "0" });
    expect((await ask(`/karat/reward/v1/claimable/${first}`)).body).toEqual({ rewards: [] });
    expect((await ask("/karat/reward/v1/pools")).body).toEqual({
      community: expect.stringMatching(/^\d+$/),
      rewards: "0",
      minted: "0",
    });
  });

  test("inferences, checks and duties where there are none", async () => {
    expect((await ask(`/karat/inference/v1/inferences?client=${client}&limit=10`)).body).toEqual({ inferences: [] });
    expect((await ask(`/karat/verification/v1/duties/${first}`)).body).toEqual({ duties: [] });
  });

  test.each([
    `/karat/inference/v1/inferences/${id}`,
    `/karat/inference/v1/inferences/${encodeURIComponent(toBase64(new Uint8Array(32)))}`,
    `/karat/verification/v1/checks/${id}`,
    `/karat/participant/v1/participants/${signerOf("nobody").address}`,
    "/karat/epoch/v1/epochs/999",
    "/karat/epoch/v1/beacons/999",
    `/karat/reward/v1/rewards/7/${first}`,
  ])("%s does not exist", async (path) => {
    expect((await ask(path)).status).toBe(404);
  });

  test.each([
    "/karat/inference/v1/inferences/abc",
    "/karat/inference/v1/inferences/%00",
    "/karat/inference/v1/inferences?executor=nobody",
    "/karat/inference/v1/inferences?limit=-1",
    "/karat/epoch/v1/epochs/one",
    "/karat/epoch/v1/epochs/18446744073709551616",
    "/karat/deposit/v1/deposits/cosmos1abc",
  ])("%s is refused", async (path) => {
    const { status, body } = await ask(path);
    expect([status, body.code]).toEqual([400, 3]);
  });
});
