import { setTimeout as sleep } from "node:timers/promises";
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
    await sleep(1_000);
    const last = Math.min(...(await Promise.all(nodes.map(heightOf))));
    for (const height of [2, before, target, last]) {
      const hashes = await Promise.all(
        nodes.map(async (node) => Buffer.from((await node.block(height)).block.header.appHash).toString("hex")),
      );
      expect(new Set(hashes), `app hashes at height ${height}`).toHaveLength(1);
    }
  });
});
