import { sha256, silentLogger, toHex } from "@karat/common";
import { encodeSigned, inference, refOf, sign } from "@karat/proto";
import { beforeEach, describe, expect, test } from "vitest";
import { idOf, keyOf, type Pipeline, recordsToTest, settled, shortOf, start } from "../testing/recordPipeline.ts";
import { ProgressWatch } from "./progressWatch.ts";
import type { NewRecord } from "./record.ts";

const records = recordsToTest();

describe("what waits for the chain", () => {
  const statement = {
    chainId: "karat-1",
    inferenceId: idOf(1),
    executor: "karat1x",
    outputHash: idOf(2),
    artifactRoot: idOf(3),
    promptHash: idOf(4),
    promptTokens: 5,
    completionTokens: 6,
    finishReason: sign.FinishReason.STOP,
  };
  const response = encodeSigned("response", statement);
  const counts = { promptTokens: 5, completionTokens: 6, finishReason: sign.FinishReason.STOP };
  const progressOf = (change: Partial<inference.Progress> = {}): inference.Progress => ({
    ref: refOf(idOf(1)),
    status: inference.InferenceStatus.FINISHED,
    root: sha256(response),
    ...counts,
    delivered: false,
    ...change,
  });
  const delivery = (complete = true): NewRecord => ({
    kind: "delivery",
    inferenceId: idOf(1),
    record: inference.DeliveryRecord.encode({
      inferenceId: idOf(1),
      root: complete ? sha256(response) : new Uint8Array(),
      complete,
      response: complete ? response : new Uint8Array(),
      responseSignature: new Uint8Array(complete ? 64 : 0),
    }).finish(),
    deadlineHeight: 1_000n,
    awaits: "finish",
  });
  const look = async (made: Pipeline, ...answers: inference.Progress[]): Promise<bigint[]> => {
    const asked: bigint[] = [];
    const progress = async (refs: readonly bigint[]) => {
      asked.push(...refs);
      return answers;
    };
    await new ProgressWatch({ outbox: made.outbox, progress, log: silentLogger }).look();
    return asked;
  };
  const sent: inference.MsgRecords[] = [];
  beforeEach(() => {
    sent.length = 0;
    records.sender.before = (messages) => void sent.push(...messages.map(({ value }) => value));
  });

  test("a delivery waits for its finish, and says no more than that it agrees with it", async () => {
    const made = records.pipeline();
    made.outbox.add(start(1));
    await settled(made);
    made.outbox.add(delivery());
    expect(await look(made)).toEqual([refOf(idOf(1))]);
    await look(made, progressOf({ status: inference.InferenceStatus.STARTED, root: new Uint8Array() }));
    expect(made.outbox.size).toBe(1);
    await look(made, progressOf());
    await settled(made);
    expect(sent.at(-1)).toMatchObject({ delivered: [refOf(idOf(1))], deliveredInPart: [], deliveries: [] });
  });

  test("what a client left before its end is delivered in part", async () => {
    const made = records.pipeline();
    made.outbox.add(start(1));
    await settled(made);
    made.outbox.add(delivery(false));
    await look(made, progressOf({ root: idOf(9) }));
    await settled(made);
    expect(sent.at(-1)).toMatchObject({ delivered: [], deliveredInPart: [refOf(idOf(1))], deliveries: [] });
  });

  test.each([
    ["another root", { root: idOf(9) }],
    ["counts that its statement has not", { completionTokens: 7 }],
  ])("a finish with %s is met with what its executor signed", async (_, change) => {
    const made = records.pipeline();
    made.outbox.add(start(1));
    await settled(made);
    made.outbox.add(delivery());
    await look(made, progressOf(change));
    await settled(made);
    const [said] = sent.at(-1)!.deliveries;
    expect(sent.at(-1)!.delivered).toEqual([]);
    expect([said!.complete, toHex(said!.response), said!.root.length]).toEqual([true, toHex(response), 0]);
  });

  test("is no dead letter where the inference was over before it got there", async () => {
    const made = records.pipeline();
    made.outbox.add(start(1));
    await settled(made);
    made.outbox.add(delivery());
    records.sender.over = true;
    await look(made, progressOf());
    await settled(made);
    expect([made.outbox.size, made.outbox.deadCount]).toEqual([0, 0]);
  });

  test("is dropped where there is nothing left to say: missed, paid, refunded, or delivered before a crash", async () => {
    const { MISSED, SETTLED, INVALID, INCONCLUSIVE } = inference.InferenceStatus;
    const over = [MISSED, SETTLED, INVALID, INCONCLUSIVE].map((status) => ({ status }));
    for (const change of [...over, { delivered: true }]) {
      const made = records.pipeline();
      made.outbox.add(delivery());
      await look(made, progressOf(change));
      expect(made.outbox.size).toBe(0);
      await records.stop(made);
    }
    expect(sent).toEqual([]);
  });

  test("a transfer agent sends the start only when the chain does not show its executor's", async () => {
    const made = records.pipeline();
    made.outbox.add({ ...start(1), awaits: "start", notBefore: 103n });
    made.outbox.add({ ...start(2), awaits: "start", notBefore: 103n });
    await look(made, progressOf({ status: inference.InferenceStatus.STARTED }));
    records.sender.height = 103n;
    await settled(made);
    expect(records.sender.recorded).toEqual([shortOf(keyOf("start", 2))]);
  });
});
