/** Two executors whose answers are whole before one is called off: the chain may hear at once only of the one that the client heard. */
import { toHex } from "@karat/common";
import { inference, sign } from "@karat/proto";
import fc from "fast-check";
import OpenAI from "openai";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { NewRecord } from "../records/record.ts";
import { TEST_MODEL } from "../testing/fakeView.ts";
import { TestNetwork, type TestParticipant } from "../testing/testNetwork.ts";

let network: TestNetwork;
beforeEach(() => {
  network = new TestNetwork();
});
afterEach(() => network.close());

/** Everybody is asked beside the first at once; what is answered waits for a word until the test gives it. */
const options = { hedges: { share: 1 }, receipts: { leastHedgeMs: 1, mostHedgeMs: 1 }, wordMs: 600_000 };

async function ask({ url }: TestParticipant): Promise<{ id: string; executor: string }> {
  const openai = new OpenAI({ baseURL: `${url}/v1`, apiKey: network.apiKey, maxRetries: 0 });
  const messages = [{ role: "user" as const, content: "Say hello." }];
  const { response } = await openai.chat.completions.create({ model: TEST_MODEL, messages }).withResponse();
  return { id: response.headers.get("x-karat-inference-id")!, executor: response.headers.get("x-karat-executor")! };
}

const wholeOf = ({ records }: TestParticipant, id: string): NewRecord | undefined =>
  records.find(
    ({ kind, inferenceId, record }) =>
      kind === "finish" &&
      toHex(inferenceId) === id &&
      inference.FinishRecord.decode(record).finishReason !== sign.FinishReason.CANCELLED,
  );
const isDue = (record: NewRecord | undefined): boolean => record !== undefined && record.notBefore === undefined;

test("in whatever order their answers come, nobody but the chosen one sends records at once", async () => {
  const me = await network.join({}, options);
  const all = [me, await network.join({}, options), await network.join({}, options)];
  const answers: { id: string; executor: string }[] = [];
  const delay = fc.nat(8);
  await fc.assert(
    fc.asyncProperty(fc.array(fc.tuple(delay, delay, delay), { minLength: 4, maxLength: 4 }), async (delays) => {
      const asked = delays.map(async (pauses) => {
        for (const [i, { ml }] of all.entries()) ml.script.tokenizeMs = pauses[i];
        answers.push(await ask(me));
      });
      await Promise.all(asked);
    }),
    { numRuns: 25 },
  );
  let twice = 0;
  for (const { id, executor } of answers) {
    for (const participant of all) {
      const whole = wholeOf(participant, id);
      if (participant.identity.operator !== executor) {
        if (whole) twice++;
        expect(whole !== undefined && isDue(whole), `${id} of another`).toBe(false);
      } else {
        // A connection that was used for the next request and closed at once says the wrong thing: then it is half of a start's time.
        expect((whole!.notBefore ?? 0n) <= network.view.current + 10n).toBe(true);
      }
    }
  }
  expect(twice).toBeGreaterThan(0);
});

test("the executor that nobody was asked beside sends its records when the connection is used again, or the time is up", async () => {
  const me = await network.join({ refuse: { status: 429, code: "overloaded" } });
  const patient = await network.join({}, { wordMs: 600_000 });
  const first = await ask(me);
  const whole = (): NewRecord | undefined => wholeOf(patient, first.id);
  expect(whole()).toMatchObject({ notBefore: network.view.current + 10n });
  await ask(me);
  await vi.waitFor(() => expect(isDue(whole())).toBe(true));
  const kinds = patient.records.filter((record) => toHex(record.inferenceId) === first.id && isDue(record));
  expect(kinds.map(({ kind }) => kind).sort()).toEqual(["finish", "start"]);
});

test("a node that stops sends what it has answered, though its connections close", async () => {
  const me = await network.join({ refuse: { status: 429, code: "overloaded" } });
  const patient = await network.join({}, { wordMs: 600_000 });
  const { id } = await ask(me);
  await patient.node.close();
  await vi.waitFor(() => expect(isDue(wholeOf(patient, id))).toBe(true));
});

test("who began late waits less, so that its start is in time even when nobody says anything", async () => {
  const me = await network.join({ refuse: { status: 429, code: "overloaded" } });
  const late = await network.join({ tokenizeMs: 150 }, { wordMs: 600_000 });
  const anchor = network.view.current;
  const asked = ask(me);
  await vi.waitFor(() => expect(late.ml.begun).toBe(1));
  for (let block = 0; block < 12; block++) network.view.advance();
  const { id } = await asked;
  const start = late.records.find(({ kind, inferenceId }) => kind === "start" && toHex(inferenceId) === id)!;
  expect(start.deadlineHeight).toBeLessThanOrEqual(anchor + 20n);
  expect(start.notBefore).toBe(start.deadlineHeight - 5n);
});
