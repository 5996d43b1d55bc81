import { setTimeout as sleep } from "node:timers/promises";
import { fromHex } from "@karat/common";
import { inference, refOf } from "@karat/proto";
import { afterAll, beforeAll, expect, test } from "vitest";
import { url } from "../../scripts/localnet/lib/layout.ts";
import { apiService, mlService, redisService } from "../../scripts/localnet/lib/services.ts";
import { verifyInference } from "../../sidecar/src/verify.ts";
import { midStream } from "./midStream.ts";
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

test("an executor killed in mid-stream: both parts are on chain, the second one is paid, and the client pays no token twice", async () => {
  const { network, openai, chain } = net;
  const { dir, plan } = network;
  const target = plan.participants[2]!;
  const stream = await midStream({ openai, model, executor: target.address });
  process.kill(network.processes.find(({ name }) => name === "api-2")!.pid, "SIGKILL");
  const { text, karat } = await stream.rest();
  expect(text.length).toBeGreaterThan(0);
  const [, second, ...others] = karat?.parts ?? [];
  if (second === undefined) throw new Error("the answer was not continued");
  expect(others).toEqual([]);
  await network.run(apiService(dir, plan, target));

  const part = await finished(second.inference_id);
  expect(part).toMatchObject({ executor: second.executor, part: { orderId: fromHex(stream.inferenceId) } });
  expect(part.part?.prefixTokens).toBe(second.behind_tokens);
  const open: readonly inference.InferenceStatus[] = [InferenceStatus.STARTED, InferenceStatus.FINISHED];
  const ended = (id: string): Promise<inference.Inference> =>
    eventually(
      `end of ${id}`,
      async () => {
        const record = await chain.query.inference(fromHex(id));
        return record !== undefined && !open.includes(record.status) && record;
      },
      240_000,
    );
  const [first, last] = await Promise.all([ended(stream.inferenceId), ended(second.inference_id)]);
  expect(first.status).toBe(InferenceStatus.MISSED);
  expect(first.continued).toEqual({ by: refOf(last.id), at: second.behind_tokens });
  expect(last).toMatchObject({ status: InferenceStatus.SETTLED, deliveryComplete: true });
  const written = BigInt(last.completionTokens) * last.outputPrice;
  expect(last.cost).toBeGreaterThanOrEqual(written);
  expect(last.cost).toBeLessThanOrEqual(written + BigInt(last.promptTokens) * last.inputPrice);
  // Anybody checks the second part alone, behind the tokens of the first.
  const { ports } = plan.participants[1]!;
  const found = await verifyInference(second.inference_id, { rpc: net.rpc, ml: url(ports.ml), api: url(ports.admin) });
  expect(found).toMatchObject({ tokens: last.completionTokens });
  expect(["pass", "abstain"]).toContain(found.verdict);
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
