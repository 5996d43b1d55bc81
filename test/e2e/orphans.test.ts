/** Who goes on with an answer is paid although nobody else is left to say so. */
import { fromHex } from "@karat/common";
import { inference } from "@karat/proto";
import { afterAll, beforeAll, expect, test } from "vitest";
import { midStream } from "./midStream.ts";
import { eventually, startNetwork, type TestNetwork } from "./support.ts";

let net: TestNetwork;
beforeAll(async () => {
  net = await startNetwork();
});
afterAll(() => net?.close());

const { InferenceStatus } = inference;

test("transfer agent and first executor die before the start of their order is recorded: the executor that goes on records both", async () => {
  const { network, openai, chain } = net;
  const { plan } = network;
  const kill = (name: string): void =>
    void process.kill(network.processes.find((each) => each.name === name)!.pid, "SIGKILL");
  const target = plan.participants[2]!;
  // The transfer agent does not go on itself, and the chain stands still: nothing of all this is on it while they live.
  kill("ml-0");
  const heard = new Set<string>();
  while (heard.size < 3) {
    // Everybody has asked the chain for the client's deposit.
    const asked = openai.completions.create({ model: plan.model, prompt: "The", max_tokens: 2 });
    heard.add((await asked.withResponse()).response.headers.get("x-karat-executor")!);
  }
  await network.end("chain-0");
  const stream = await midStream({ openai, model: plan.model, executor: target.address });
  kill("api-2");
  const { karat } = await stream.rest();
  const [, second, ...others] = karat?.parts ?? [];
  if (second === undefined) throw new Error("the answer was not continued");
  expect(others).toEqual([]);
  const own = plan.participants[0]!.address;
  expect(second.executor).not.toBe(own);
  kill("api-0");
  for (const node of network.chains()) await network.run(node);

  const part = await eventually(
    `the part ${second.inference_id}`,
    async () => {
      const found = await chain.query.inference(fromHex(second.inference_id));
      return found !== undefined && found.status === InferenceStatus.SETTLED && found;
    },
    240_000,
  );
  expect(part).toMatchObject({ executor: second.executor, part: { orderId: fromHex(stream.inferenceId) } });
  expect(part.cost).toBeGreaterThanOrEqual(BigInt(part.completionTokens) * part.outputPrice);
  const first = await eventually(
    `the end of ${stream.inferenceId}`,
    async () => {
      const found = await chain.query.inference(fromHex(stream.inferenceId));
      return found !== undefined && found.status === InferenceStatus.MISSED && found;
    },
    240_000,
  );
  expect(first).toMatchObject({ executor: target.address, transferAgent: own });
});
