/** What a client sets beside the request (prices, recording), and names that an operator gives to models. */
import { inference } from "@karat/proto";
import OpenAI from "openai";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { TEST_MODEL } from "../testing/fakeView.ts";
import { TestNetwork, type TestParticipant } from "../testing/testNetwork.ts";

let network: TestNetwork;
beforeEach(() => {
  network = new TestNetwork();
});
afterEach(() => network.close());

const sdk = ({ url }: TestParticipant): OpenAI =>
  new OpenAI({ baseURL: `${url}/v1`, apiKey: network.apiKey, maxRetries: 0 });
const messages = [{ role: "user" as const, content: "Say hello." }];
const ask = (me: TestParticipant, headers: Record<string, string> = {}, model = TEST_MODEL) =>
  sdk(me).chat.completions.create({ model, messages }, { headers });

describe("x-karat-recording", () => {
  test.each([
    ["commit", false],
    ["full", true],
  ])("%s: the request rides in the start: %s", async (mode, rides) => {
    const me = await network.join();
    await ask(me, { "x-karat-recording": mode });
    const start = me.records.find(({ kind }) => kind === "start")!;
    expect(inference.StartRecord.decode(start.record).request.length > 0).toBe(rides);
  });

  test.each(["Commit", "none", "private", ""])(
    "a misspelt wish for privacy (%j) put the request on the chain in full",
    async (mode) => {
      const me = await network.join();
      await expect(ask(me, { "x-karat-recording": mode })).rejects.toMatchObject({
        status: 400,
        param: "x-karat-recording",
      });
      expect(me.records).toEqual([]);
    },
  );
});

describe("price bounds", () => {
  test("what nobody offers at these prices was a 503 that SDKs try three times", async () => {
    const me = await network.join();
    for (const header of ["x-karat-max-input-price", "x-karat-max-output-price"]) {
      await expect(ask(me, { [header]: "0" })).rejects.toMatchObject({
        status: 404,
        code: "model_not_found",
        param: header,
      });
    }
    expect((await ask(me, { "x-karat-max-input-price": "1" })).choices).toHaveLength(1);
  });
});

describe("a model's alias", () => {
  const aliases = new Map([
    ["gpt-4o-mini", TEST_MODEL],
    ["gpt-5", "nobody-offers-this"],
  ]);

  test("is listed and answered by the model that it stands for, under that one's name", async () => {
    const me = await network.join({}, { aliases });
    const ids = (await sdk(me).models.list()).data.map(({ id }) => id);
    expect(ids).toEqual(["gpt-4o-mini", TEST_MODEL].sort());
    expect((await sdk(me).models.retrieve("gpt-4o-mini")).id).toBe("gpt-4o-mini");
    const answer = await ask(me, {}, "gpt-4o-mini");
    expect(answer.model).toBe(TEST_MODEL);
    const response = await sdk(me).responses.create({ model: "gpt-4o-mini", input: "Say hello." });
    expect(response.model).toBe(TEST_MODEL);
  });

  test("of a model that nobody offers is a 404, as the model itself", async () => {
    const me = await network.join({}, { aliases });
    await expect(ask(me, {}, "gpt-5")).rejects.toMatchObject({ status: 404, code: "model_not_found" });
    await expect(sdk(me).models.retrieve("gpt-5")).rejects.toMatchObject({ status: 404 });
  });
});
