import { KaratError, type Logger, silentLogger } from "@karat/common";
import { expect, test, vi } from "vitest";
import { type FollowedBlock, followBlocks } from "./index.ts";

const notYet = new KaratError(
  "rpc_error",
  'The node answered with an error: {"code":-32603,"message":"Internal error","data":"could not find results for height #2"}',
);

test("a block that CometBFT was still committing was taken for a chain that does not answer, and waited a second for", async () => {
  let refusals = 3;
  const block = async (height: bigint): Promise<FollowedBlock> => {
    if (height === 2n && refusals-- > 0) throw notYet;
    return { height, timeMs: 0, events: [], txs: [] } as unknown as FollowedBlock;
  };
  const status = async () => ({ height: 2n, chainId: "karat-test-1" });
  const log: Logger = { ...silentLogger, warn: vi.fn() };
  const heights: bigint[] = [];
  const cursor = { load: () => undefined, save: () => undefined };
  const { signal } = new AbortController();
  const client = { status, block } as unknown as Parameters<typeof followBlocks>[0]["client"];
  for await (const { height } of followBlocks({ client, cursor, from: 1n, signal, log })) {
    heights.push(height);
    if (height === 2n) break;
  }
  expect(heights).toEqual([1n, 2n]);
  expect(refusals).toBe(-1);
  expect(log.warn).not.toHaveBeenCalled();
});
