import { setTimeout as sleep } from "node:timers/promises";
import { fromHex } from "@karat/common";
import { inference } from "@karat/proto";
import { afterAll, beforeAll, expect, test } from "vitest";
import { mlService, redisService } from "../../scripts/localnet/lib/services.ts";
import { eventually, startNetwork, type TestNetwork } from "./support.ts";

let net: TestNetwork;
beforeAll(async () => {
  net = await startNetwork();
});
afterAll(() => net?.close());

const model = "karat-tiny";
const { InferenceStatus } = inference;
const ask = async (i: number, maxTokens = 16): Promise<string> => {
  const messages = [{ role: "user" as const, content: `What does os.rename() do? (${i})` }];
  const { response } = await net.openai.chat.completions
    .create({ model, messages, max_tokens: maxTokens })
    .withResponse();
  return response.headers.get("x-karat-inference-id")!;
};
const finished = (id: string): Promise<inference.Inference> =>
  eventually(`finish of ${id}`, async () => {
    const record = await net.chain.query.inference(fromHex(id));
    return record !== undefined && record.status !== InferenceStatus.STARTED && record;
  });

test("an ML node that dies mid-answer gives an error or another executor's answer, and later requests succeed", async () => {
  const { network } = net;
  const running = Array.from({ length: 8 }, (_, i) =>
    ask(i, 400).then(
      () => "answered",
      (error: Error) => error.constructor.name,
    ),
  );
  await sleep(150);
  const ml = network.processes.find((ref) => ref.name === "ml-1")!;
  process.kill(ml.pid, "SIGKILL");
  const outcomes = await Promise.all(running);
  expect(outcomes).toHaveLength(8);
  // With one of four executors gone every request is still served by the others.
  const after = await Promise.all([ask(10), ask(11), ask(12), ask(13)]);
  for (const id of after) expect((await finished(id)).status).not.toBe(InferenceStatus.MISSED);
  await network.run(mlService(network.dir, network.plan, network.plan.participants[1]!));
});

test("with Redis gone for a while requests are answered and their records arrive afterwards", async () => {
  const { network } = net;
  const redis = redisService(network.dir, network.plan);
  if (!redis) throw new Error("redis-server is needed for this test");
  await network.end("redis");
  const ids = await Promise.all([ask(20), ask(21), ask(22), ask(23)]);
  await network.run(redis);
  for (const id of ids)
    expect([InferenceStatus.FINISHED, InferenceStatus.SETTLED]).toContain((await finished(id)).status);
});

test("with the chain stopped and started again requests are answered and recorded", async () => {
  const { network } = net;
  await network.end("chain-0");
  const ids = await Promise.all([ask(30), ask(31), ask(32), ask(33)]);
  for (const chain of network.chains()) await network.run(chain);
  for (const id of ids)
    expect([InferenceStatus.FINISHED, InferenceStatus.SETTLED]).toContain((await finished(id)).status);
  await finished(await ask(40));
});
