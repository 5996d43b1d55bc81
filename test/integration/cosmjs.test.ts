/**
 * Stock CosmJS against both consensus engines with the whole application: the same checks, over HTTP and over a websocket,
 * on nodes that run as their operators run them. Neither the clients nor the checks know which engine answers.
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type TestChain, testChain } from "../../chain/src/cli/testing/nodes.ts";
import { findCometBft } from "../../chain/src/engine/index.ts";
import { temporaryFolder } from "../../chain/src/engine/testing/temporary.ts";
import { accountChecks, nodeChecks, queryErrorChecks, stakingChecks } from "./cosmjs/accounts.ts";
import { blockChecks, proofChecks } from "./cosmjs/blocks.ts";
import {
  CHAIN_ID,
  type Checks,
  checking,
  connect,
  disconnect,
  START_AMOUNT,
  type Suite,
  suiteAccounts,
} from "./cosmjs/context.ts";
import { eventChecks, noEventChecks } from "./cosmjs/events.ts";
import { searchChecks } from "./cosmjs/search.ts";
import { broadcastChecks, refusalChecks } from "./cosmjs/transactions.ts";

const PARTS: readonly Checks[] = [
  nodeChecks,
  accountChecks,
  stakingChecks,
  queryErrorChecks,
  broadcastChecks,
  refusalChecks,
  searchChecks,
  blockChecks,
  proofChecks,
];
const TRANSPORTS = [
  ["http", [...PARTS, noEventChecks]],
  ["ws", [...PARTS, eventChecks]],
] as const;
const LEAST = 60;

const binary = await findCometBft();
const required = process.env.CI === "true";
if (binary === undefined) console.warn("NO COMETBFT: the CosmJS suite runs on the solo engine only");

function overTransport(
  url: () => string,
  transport: Suite["transport"],
  parts: readonly Checks[],
  counted: Set<string>,
): void {
  let suite: Suite;
  beforeAll(async () => {
    suite = await connect(url(), transport);
  });
  afterAll(() => suite && disconnect(suite));
  for (const part of parts) {
    describe(part.name, () =>
      part(
        () => suite,
        checking(() => suite, counted),
      ),
    );
  }
}

describe.each([
  ["solo", true],
  ["cometbft", binary !== undefined || required],
] as const)("CosmJS on the %s engine", (engine, available) => {
  const folder = temporaryFolder();
  const checks = new Set<string>();
  let chain: TestChain;

  beforeAll(async () => {
    if (!available) return;
    const accounts = TRANSPORTS.flatMap(([transport]) => Object.values(suiteAccounts(transport)));
    chain = await testChain({
      dir: folder.path,
      chainId: CHAIN_ID,
      validators: 1,
      engine,
      blockTimeMs: 100,
      genesis: { accounts: accounts.map(({ address }) => ({ address, amount: START_AMOUNT })) },
    });
    await chain.nodes[0]!.start();
  }, 120_000);
  afterAll(async () => {
    await chain?.close();
    folder.remove();
  });

  for (const [transport, parts] of TRANSPORTS) {
    describe.skipIf(!available)(`over ${transport}`, () => {
      overTransport(() => chain.nodes[0]!.rpc, transport, parts, checks);
    });
  }

  test.skipIf(!available)("is enough checks", () => {
    console.info(`CosmJS suite on ${engine}: ${checks.size} named checks, over HTTP and over a websocket`);
    expect(checks.size).toBeGreaterThanOrEqual(LEAST);
  });
});
