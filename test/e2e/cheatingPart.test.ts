/** A smaller model that goes on where an honest executor broke off: its part is found false, and that of the other is paid. */
import { fromHex } from "@karat/common";
import { inference } from "@karat/proto";
import { afterEach, expect, test } from "vitest";
import { midStream } from "./midStream.ts";
import { eventually, startNetwork, type TestNetwork } from "./support.ts";

let net: TestNetwork | undefined;
afterEach(async () => {
  await net?.close();
  net = undefined;
});

const { InferenceStatus } = inference;
/** Enough for a verdict on this part alone. */
const LEAST_TOKENS = 48;
const OPEN: readonly inference.InferenceStatus[] = [InferenceStatus.STARTED, InferenceStatus.FINISHED];

test("an executor that goes on in mid-stream with a smaller model is refunded, and who began is paid", async () => {
  net = await startNetwork();
  const { network, chain } = net;
  const { participants, model } = network.plan;
  const cheater = participants.at(-1)!;
  const honest = participants.slice(0, -1);
  await network.replaceMl(cheater.index, { kind: "swap", model: "karat-mini-f16" });
  const { first, part } = await continuedByCheater(net);

  const ended = (id: string): Promise<inference.Inference> =>
    eventually(
      `the end of ${id}`,
      async () => {
        const record = await chain.query.inference(fromHex(id));
        return record !== undefined && !OPEN.includes(record.status) && record;
      },
      240_000,
    );
  const judged = await ended(part);
  expect(judged).toMatchObject({ executor: cheater.address, status: InferenceStatus.INVALID });
  const paid = await ended(first);
  expect(paid.status).toBe(InferenceStatus.SETTLED);
  expect(honest.map(({ address }) => address)).toContain(paid.executor);
  // Up to where the other went on, and no further.
  expect(paid.cost).toBe(
    BigInt(paid.promptTokens) * paid.inputPrice + BigInt(judged.part!.prefixTokens) * paid.outputPrice,
  );
  for (const { address } of honest) expect((await chain.query.participant(address))?.convictions).toBe(0);

  async function continuedByCheater({ network, openai }: TestNetwork): Promise<{ first: string; part: string }> {
    for (let tries = 0; tries < 60; tries++) {
      const stream = await midStream({ openai, model, executor: honest.map(({ address }) => address) });
      const { index } = participants.find(({ address }) => address === stream.executor)!;
      const ml = network.processes.find(({ name }) => name === `ml-${index}`)!;
      process.kill(ml.pid, "SIGSTOP");
      let parts: readonly { readonly inference_id: string; readonly executor: string }[] = [];
      try {
        parts = (await stream.rest()).karat?.parts ?? [];
      } finally {
        process.kill(ml.pid, "SIGCONT");
      }
      const [, second, ...others] = parts;
      if (second?.executor !== cheater.address || others.length > 0) continue;
      const record = await eventually(`the part ${second.inference_id}`, async () => {
        const found = await chain.query.inference(fromHex(second.inference_id));
        return found !== undefined && found.status !== InferenceStatus.STARTED && found;
      });
      if (record.completionTokens >= LEAST_TOKENS) return { first: stream.inferenceId, part: second.inference_id };
    }
    throw new Error("the draw never came out so");
  }
});
