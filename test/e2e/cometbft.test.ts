import { Comet38Client } from "@cosmjs/tendermint-rpc";
import { verification } from "@karat/proto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { findCometBft } from "../../chain/src/engine/index.ts";
import { isDecided, watch } from "../../scripts/localnet/lib/inference.ts";
import { rpcOf } from "../../scripts/localnet/lib/layout.ts";
import { eventually, startNetwork, type TestNetwork } from "./support.ts";

const binary = await findCometBft();
if (!binary && process.env.CI !== "true") console.warn("NO COMETBFT: the tests of four validators are left out");

describe.skipIf(!binary && process.env.CI !== "true")("four validators of CometBFT", () => {
  let net: TestNetwork;
  let nodes: Comet38Client[] = [];
  beforeAll(async () => {
    net = await startNetwork("--engine", "cometbft", "--block-time-ms", "500");
    nodes = await Promise.all(
      net.network.plan.chains.map(({ index }) => Comet38Client.connect(rpcOf(net.network.plan, index))),
    );
  });
  afterAll(() => net?.close());

  const heightOf = async (node: Comet38Client): Promise<number> => (await node.status()).syncInfo.latestBlockHeight;
  const firstOf = async (node: Comet38Client): Promise<number> =>
    (await node.status()).syncInfo.earliestBlockHeight ?? 1;
  /** App hashes by height, of every height that a node has. */
  const appHashes = async (node: Comet38Client): Promise<Map<number, string>> => {
    const hashes = new Map<number, string>();
    const last = await heightOf(node);
    for (let from = await firstOf(node); from <= last; from += 20) {
      const { blockMetas } = await node.blockchain(from, Math.min(from + 19, last));
      for (const { header } of blockMetas) hashes.set(header.height, Buffer.from(header.appHash).toString("hex"));
    }
    return hashes;
  };
  const agreement = async (): Promise<void> => {
    const [first, ...others] = await Promise.all(nodes.map(appHashes));
    for (const hashes of others) {
      const both = Array.from(hashes).filter(([height]) => first!.has(height));
      expect(both.length).toBeGreaterThan(0);
      expect(both).toEqual(both.map(([height]) => [height, first!.get(height)]));
    }
  };
  const ask = async (i: number): Promise<string> => {
    const messages = [{ role: "user" as const, content: `What does os.rename() do? Explain it in detail. (${i})` }];
    const { response } = await net.openai.chat.completions
      .create({ model: "karat-tiny", messages, max_tokens: 40 })
      .withResponse();
    return response.headers.get("x-karat-inference-id")!;
  };

  test("record and verify an inference", async () => {
    const { check } = await watch(net.chain, await ask(0), isDecided, 120_000);
    const { VALID, ABSTAINED } = verification.CheckStatus;
    expect([VALID, ABSTAINED]).toContain(check?.status);
  });

  test("go on with three of four, and the fourth catches up to the same app hash", async () => {
    await net.network.end("chain-3");
    const before = await heightOf(nodes[0]!);
    await eventually("five more blocks", async () => (await heightOf(nodes[0]!)) >= before + 5);
    const { check } = await watch(net.chain, await ask(1), isDecided, 120_000);
    expect(check?.status).not.toBe(verification.CheckStatus.INVALID);
    for (const chain of net.network.chains()) await net.network.run(chain);
    const target = await heightOf(nodes[0]!);
    await eventually("the fourth node to catch up", async () => (await heightOf(nodes[3]!)) >= target);
    await agreement();
  });

  test("are joined by a fifth node, which takes the state from a snapshot", async () => {
    const { index } = await net.network.join();
    nodes.push(await Comet38Client.connect(rpcOf(net.network.plan, index)));
    const target = await heightOf(nodes[0]!);
    await eventually("the fifth node to catch up", async () => (await heightOf(nodes[index]!)) >= target);
    expect(await firstOf(nodes[index]!)).toBeGreaterThan(1);
    await agreement();
  });
});
