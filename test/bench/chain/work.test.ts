/** What a block does for an inference, counted: times differ from machine to machine, these numbers do not. */
import { inference } from "@karat/proto";
import { expect, test, vi } from "vitest";
import { recordCodec } from "../../../chain/src/modules/inference/recordCodec.ts";
import { MemoryCommitStore } from "../../../chain/src/store/index.ts";
import { recorder } from "./traffic.ts";

const COUNT = 64;

test("a block encodes each record that it starts or finishes once, decodes none, and writes an entry for it and one for all that is due or delivered with it", async () => {
  const { traffic } = await recorder();
  const encode = vi.spyOn(recordCodec, "encode");
  const decode = vi.spyOn(inference.Inference, "decode");
  const stage = vi.spyOn(MemoryCommitStore.prototype, "stage");
  await traffic.serve(COUNT, COUNT);
  const entries = stage.mock.calls.map(([, changes]) => changes.get("inference")!.length);
  // Beside the records: deadlines and their number; deadlines and draws. Then no records: deliveries and draws, after which all are
  // checked, for nobody is trusted yet.
  expect(entries).toEqual([COUNT + 2, COUNT + 2, 2]);
  expect(encode).toHaveBeenCalledTimes(2 * COUNT);
  expect(decode).not.toHaveBeenCalled();
});
