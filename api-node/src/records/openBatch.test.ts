import { sha256, toHex, utf8 } from "@karat/common";
import { encodeSigned, inference, partNameOf } from "@karat/proto";
import { expect, test } from "vitest";
import { authorizationOf, idOf, start } from "../testing/recordPipeline.ts";
import { openBatchOf } from "./openBatch.ts";
import type { NewRecord } from "./record.ts";
import { isOfAnother } from "./writer.ts";

test("a start of a part stands behind that of its order in a batch, and under the id of the part", () => {
  const prefix = { tokens: 2, hash: sha256(utf8("ids")) };
  const receipt = encodeSigned("receipt", {
    chainId: "karat-1",
    inferenceId: new Uint8Array(32),
    attempt: 3,
    executor: "karat1executor",
    promptTokens: 4,
    deadlineHeight: 9n,
  });
  const authorization = authorizationOf(1);
  const record = inference.StartRecord.encode(
    inference.StartRecord.fromPartial({ authorization, receipt, prefix }),
  ).finish();
  const inferenceId = sha256(partNameOf("karat-1", idOf(1), 3, prefix));
  const part: NewRecord = { kind: "start", inferenceId, record, deadlineHeight: 9n };
  const entries = [part, start(1)].map((one) => ({ ...one, notBefore: 0n, unknownTries: 0, refusedTries: 0 }));
  const { batch, order } = openBatchOf(entries, "karat-1", { sender: "karat1node", operator: "karat1operator" });
  expect(order.map((entry) => toHex(entry.inferenceId))).toEqual([idOf(1), inferenceId].map(toHex));
  expect(batch.starts?.map((one) => one.prefix)).toEqual([undefined, prefix]);
  expect(order.map((entry) => isOfAnother(entry, () => "karat-1"))).toEqual([false, false]);
  for (const inferenceId of [idOf(1), idOf(2)])
    expect(isOfAnother({ ...part, inferenceId }, () => "karat-1")).toBe(true);
});
