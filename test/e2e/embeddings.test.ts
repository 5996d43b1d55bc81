/** Vectors through a whole network: served, recorded, checked by validators with their own models, settled; and found false where another model gave them. */
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { verifiedFetch } from "@karat/client";
import { fromHex } from "@karat/common";
import { inference, sign, verification } from "@karat/proto";
import OpenAI from "openai";
import { afterEach, expect, test } from "vitest";
import { isDecided, isSettled, watch } from "../../scripts/localnet/lib/inference.ts";
import { url } from "../../scripts/localnet/lib/layout.ts";
import { startNetwork, type TestNetwork } from "./support.ts";

const VERIFY = new URL("../../sidecar/src/verifyMain.ts", import.meta.url).pathname;
const run = promisify(execFile);

let net: TestNetwork | undefined;
afterEach(async () => {
  await net?.close();
  net = undefined;
});

const { VALID, ABSTAINED } = verification.CheckStatus;
const texts = (from: number, count: number): string[] =>
  Array.from({ length: count }, (_, i) => `What does os.rename() do with ${from + i} files?`);

interface Embedded {
  readonly id: string;
  readonly executor: string;
  readonly vectors: readonly number[][];
}

/** By a client that lets no vector through which its executor has not signed. */
function embedder({ network, chain }: TestNetwork): (input: string[]) => Promise<Embedded> {
  const nodeKeyOf = async (operator: string) => (await chain.query.participant(operator))?.nodeKey;
  const fetch = verifiedFetch({ chainId: chain.chainId, nodeKeyOf });
  const openai = new OpenAI({ baseURL: network.endpoint, apiKey: network.apiKey, maxRetries: 4, fetch });
  return async (input) => {
    const { data, response } = await openai.embeddings.create({ model: network.plan.model, input }).withResponse();
    return {
      id: response.headers.get("x-karat-inference-id")!,
      executor: response.headers.get("x-karat-executor")!,
      vectors: data.data.map(({ embedding }) => embedding),
    };
  };
}

test("vectors are served, recorded, found valid by validators, and paid", async () => {
  net = await startNetwork();
  const { chain, network } = net;
  const embed = embedder(net);
  const model = (await chain.query.models()).find(({ id }) => id === network.plan.model)!;
  // A busy machine's validators may miss their deadline: then the vectors were not judged, and others are asked for.
  const statuses: (verification.CheckStatus | undefined)[] = [];
  let last = "";
  while (!statuses.includes(VALID) && statuses.length < 6) {
    const { id, vectors, executor } = await embed(texts(8 * statuses.length, 8));
    expect(vectors.map(({ length }) => length)).toEqual(Array.from({ length: 8 }, () => model.embeddingDimensions));
    const { check } = await watch(chain, id, isDecided, 90_000);
    statuses.push(check?.status);
    last = id;
    expect([VALID, ABSTAINED]).toContain(check?.status);
    const { record } = await watch(chain, id, isSettled, 120_000);
    expect(record).toMatchObject({ executor, completionTokens: 8, finishReason: sign.FinishReason.LENGTH });
    const { promptTokens, inputPrice, outputPrice, cost } = record!;
    expect(cost).toBe(BigInt(promptTokens) * inputPrice + 8n * outputPrice);
  }
  expect(statuses).toContain(VALID);

  const { ports } = network.plan.participants[1]!;
  const flags = ["--rpc", net.rpc, "--ml", url(ports.ml), "--api", url(ports.admin), "--json"];
  const { stdout } = await run(process.execPath, [VERIFY, ...flags, last]);
  const found = JSON.parse(stdout) as { distances: number[] };
  expect(found).toMatchObject({ inferenceId: last, verdict: "pass", tokens: 8 });
  expect(found.distances).toHaveLength(8);
  const forPeople = await run(process.execPath, [VERIFY, ...flags.slice(0, -1), last]);
  expect(forPeople.stdout).toMatch(/largest honest one .*farthest of 8 vectors/s);
});

test("vectors of the weights in 8 bits convict their executor, and nobody honest", async () => {
  net = await startNetwork();
  const { chain, network } = net;
  const { participants } = network.plan;
  const cheater = participants.at(-1)!;
  await network.replaceMl(cheater.index, { kind: "swap", model: "karat-tiny-q8_0" });
  const embed = embedder(net);
  const convictions = async (operator: string): Promise<number> =>
    (await chain.query.participant(operator))?.convictions ?? 0;
  const asked: Embedded[] = [];
  while (asked.length < 120 && (await convictions(cheater.address)) === 0) {
    const from = 4 * asked.length;
    asked.push(...(await Promise.all([0, 1, 2, 3].map((i) => embed(texts(from + 4 * i, 4))))));
    for (const { id, executor } of asked.slice(-4)) {
      if (executor === cheater.address) await watch(chain, id, isDecided, 120_000);
    }
  }
  expect(await convictions(cheater.address)).toBeGreaterThan(0);
  const invalid = new Set<string>();
  for (const { id, executor } of asked) {
    const record = await chain.query.inference(fromHex(id));
    if (record?.status === inference.InferenceStatus.INVALID) invalid.add(executor);
  }
  expect([...invalid]).toEqual([cheater.address]);
  for (const { address } of participants.slice(0, -1)) {
    expect(await convictions(address)).toBe(0);
    expect((await chain.query.standing(address))?.fails ?? 0n).toBe(0n);
  }
});
