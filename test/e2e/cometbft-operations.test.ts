/**
 * Operating a network of real CometBFT validators: nodes and engines killed at every moment of a block, a home emptied, a
 * node that joins by a snapshot. One validator of four is always the victim; the others may not notice.
 */
import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { DENOM } from "@karat/common";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Signer, sendMessage, signerOf, signTx } from "../../chain/src/app/testing/index.ts";
import { homePaths } from "../../chain/src/cli/home.ts";
import type { CrashPoint } from "../../chain/src/cli/testing/crashNode.ts";
import { type TestChain, type TestNode, testChain } from "../../chain/src/cli/testing/nodes.ts";
import { findCometBft } from "../../chain/src/engine/index.ts";
import type { RpcHeader } from "../../chain/src/engine/rpcTypes.ts";
import { rpc } from "../../chain/src/engine/testing/rpc-client.ts";
import { asked, heightOf, statusOf } from "./nodes.ts";
import { eventually } from "./support.ts";

const CRASH_NODE = fileURLToPath(new URL("../../chain/src/cli/testing/crashNode.ts", import.meta.url));
const CHAIN_ID = "karat-operations-1";
const SNAPSHOTS = ["--snapshot-interval", "30"];
const payer = signerOf("operations payer");
const receiver = signerOf("operations receiver");

const binary = await findCometBft();
const required = process.env.CI === "true";
if (!binary && !required) console.warn("NO COMETBFT: the tests of operations are left out");

/** The headers that a node has, by height. */
async function headersOf(node: TestNode): Promise<Map<number, RpcHeader>> {
  const { sync_info: status } = await statusOf(node);
  const headers = new Map<number, RpcHeader>();
  const last = Number(status.latest_block_height);
  for (let from = Number(status.earliest_block_height); from <= last; from += 20) {
    const range = { minHeight: String(from), maxHeight: String(Math.min(from + 19, last)) };
    const { block_metas: metas } = (await rpc(node.rpc, "blockchain", range)).result as {
      block_metas: { header: RpcHeader }[];
    };
    for (const { header } of metas) headers.set(Number(header.height), header);
  }
  return headers;
}

/** Pays one ukarat after the other until it is stopped; resolves with how many were taken. */
function pay(node: TestNode, from: Signer): { stop(): Promise<number> } {
  let stopped = false;
  const paying = (async () => {
    const accountNumber = (await asked(node, ({ query }) => query.account(from.address)))!.accountNumber;
    let sequence = 0n;
    while (!stopped) {
      const options = { accounts: [{ accountNumber, sequence }], fee: [{ denom: DENOM, amount: "5000" }] };
      const tx = signTx([from], [sendMessage(from, receiver, 1n)], {
        chainId: CHAIN_ID,
        gasLimit: 200_000n,
        ...options,
      });
      const sent = await rpc(node.rpc, "broadcast_tx_sync", { tx: Buffer.from(tx).toString("base64") });
      expect(sent.result).toMatchObject({ code: 0 });
      sequence++;
      await sleep(200);
    }
    return Number(sequence);
  })();
  paying.catch(() => undefined);
  return {
    stop() {
      stopped = true;
      return paying;
    },
  };
}

const received = (node: TestNode): Promise<number> =>
  asked(node, async ({ query }) => Number(await query.balance(receiver.address)));

describe.skipIf(!binary && !required)("four validators of CometBFT, one of them a victim", () => {
  const dir = mkdtempSync(join(tmpdir(), "karat-operations-"));
  let chain: TestChain;
  let nodes: readonly TestNode[];
  let payments: { stop(): Promise<number> };
  const [steady, victim, joiner] = [0, 3, 4].map((index) => () => nodes[index]!) as [
    () => TestNode,
    () => TestNode,
    () => TestNode,
  ];

  beforeAll(async () => {
    chain = await testChain({
      dir,
      chainId: CHAIN_ID,
      validators: 4,
      followers: 1,
      blockTimeMs: 250,
      genesis: { accounts: [{ address: payer.address, amount: 10n ** 12n }] },
    });
    nodes = chain.nodes;
    const validators = nodes.slice(0, 4);
    await Promise.all(validators.map((node) => node.start(SNAPSHOTS)));
    payments = pay(steady(), payer);
  });
  afterAll(async () => {
    await chain?.close();
    rmSync(dir, { recursive: true, force: true });
  });

  /** The node is where the network is, and the network has made blocks since. */
  const catchesUp = async (node: TestNode): Promise<void> => {
    const target = (await heightOf(steady())) + 2;
    await eventually(`height ${target}`, async () => (await heightOf(node)) >= target, 90_000);
  };

  test("the node is killed at every moment of a block, and recovers each time", async () => {
    await victim().end("SIGKILL");
    const points: CrashPoint[] = [
      "app:before-prepareProposal",
      "app:after-processProposal",
      "app:before-finalizeBlock",
      "app:during-finalizeBlock",
      "app:after-finalizeBlock",
      "app:before-commit",
      "app:during-commit",
      "app:after-commit",
    ];
    for (const point of points) {
      const before = await heightOf(steady());
      victim().launch(SNAPSHOTS, CRASH_NODE, { KARAT_CRASH: point });
      expect([point, await victim().ended()]).toEqual([point, { code: null, signal: "SIGKILL" }]);
      // A round whose proposer is the dead node takes seconds.
      await eventually("a block without it", async () => (await heightOf(steady())) > before, 60_000);
    }
  });

  test("CometBFT is killed at moments of a block, and comes back with its application", async () => {
    const points: CrashPoint[] = ["comet:before-finalizeBlock", "comet:before-commit", "comet:after-commit"];
    victim().launch(SNAPSHOTS, CRASH_NODE, { KARAT_CRASH: points.join(",") });
    await victim().listening();
    const died = () =>
      victim()
        .output.split("\n")
        .filter((line) => line.includes("the node went down")).length;
    await eventually("three deaths of CometBFT", async () => died() === 3, 120_000);
    await catchesUp(victim());
    await victim().end();
  });

  test("the node starts from an empty directory and takes all blocks", async () => {
    const paths = homePaths(victim().options.home);
    rmSync(paths.data, { recursive: true });
    const blocks = join(paths.comet, "data");
    for (const name of readdirSync(blocks)) {
      // What it has signed must not be forgotten, or it may sign twice.
      if (name !== "priv_validator_state.json") rmSync(join(blocks, name), { recursive: true });
    }
    await victim().start(SNAPSHOTS);
    await catchesUp(victim());
    expect((await statusOf(victim())).sync_info.earliest_block_height).toBe("1");
  });

  test("another node joins by state sync, also when it was killed in the middle of it", async () => {
    const snapshots = homePaths(steady().options.home).snapshots;
    await eventually(
      "a snapshot",
      async () => existsSync(snapshots) && readdirSync(snapshots).some((name) => /^\d+$/.test(name)),
    );
    const sync = ["--state-sync", `${nodes[0]!.rpc},${nodes[1]!.rpc}`];
    const unfinished = join(homePaths(joiner().options.home).data, "state-sync-unfinished");
    joiner().launch(sync);
    await eventually("the sync to begin", async () => existsSync(unfinished));
    await sleep(1_000);
    await joiner().end("SIGKILL");
    expect(existsSync(unfinished)).toBe(true);
    await joiner().start(sync);
    expect(existsSync(unfinished)).toBe(false);
    expect(Number((await statusOf(joiner())).sync_info.earliest_block_height)).toBeGreaterThan(1);
    await catchesUp(joiner());
    // With its own chain there is nothing to sync any more.
    await joiner().end();
    await joiner().start(sync);
    await catchesUp(joiner());
  });

  test("nothing was lost, and all agree about every height", async () => {
    const taken = await payments.stop();
    expect(taken).toBeGreaterThan(0);
    for (const node of nodes) await eventually("every payment", async () => (await received(node)) === taken);
    const [all, ...others] = await Promise.all(nodes.map(headersOf));
    const heights = Math.min(all!.size, ...others.map((headers) => Math.max(...headers.keys())));
    for (const headers of others) {
      for (const [height, { app_hash }] of headers) {
        if (height <= heights) expect([height, app_hash]).toEqual([height, all!.get(height)!.app_hash]);
      }
    }
    // The first header has the time of the genesis.
    const times = Array.from(all!.values(), ({ time }) => Date.parse(time))
      .sort((a, b) => a - b)
      .slice(1);
    const longest = Math.max(...times.slice(1).map((time, i) => time - times[i]!));
    console.info(
      `${all!.size} blocks agree on ${nodes.length} nodes; ${taken} payments; longest time between blocks ${longest} ms`,
    );
  });
});
