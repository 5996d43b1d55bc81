import { toHex } from "@karat/common";
import { inference } from "@karat/proto";
import { expect, test } from "vitest";
import { idOf, start, startOfPart } from "../testing/recordPipeline.ts";
import { openBatchOf } from "./openBatch.ts";
import { isOfAnother } from "./writer.ts";

test("a start of a part stands behind that of its order in a batch, and under the id of the part", () => {
  const part = startOfPart(1);
  const { inferenceId } = part;
  const { prefix } = inference.StartRecord.decode(part.record);
  const entries = [part, start(1)].map((one) => ({ ...one, notBefore: 0n, unknownTries: 0, refusedTries: 0 }));
  const { batch, order } = openBatchOf(entries, "karat-1", { sender: "karat1node", operator: "karat1operator" });
  expect(order.map((entry) => toHex(entry.inferenceId))).toEqual([idOf(1), inferenceId].map(toHex));
  expect(batch.starts?.map((one) => one.prefix)).toEqual([undefined, prefix]);
  expect(order.map((entry) => isOfAnother(entry, () => "karat-1"))).toEqual([false, false]);
  for (const inferenceId of [idOf(1), idOf(2)])
    expect(isOfAnother({ ...part, inferenceId }, () => "karat-1")).toBe(true);
});
