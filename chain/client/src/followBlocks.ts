import { setTimeout as sleep } from "node:timers/promises";
import { isKaratError, type Logger } from "@karat/common";
import type { ChainClient, FollowedBlock } from "./chainClient.ts";

export interface BlockCursor {
  /** The last height that was dealt with; undefined at first. */
  load(): bigint | undefined;
  save(height: bigint): void;
}

export interface FollowOptions {
  readonly client: Pick<ChainClient, "status" | "block">;
  readonly cursor: BlockCursor;
  /** First height when the cursor is empty; the newest block when left out. */
  readonly from?: bigint;
  readonly signal: AbortSignal;
  readonly pollMs?: number;
  readonly log: Logger;
}

const EARLY_MS = 25;
const MAX_EARLY = 40;

/** CometBFT names a block's height in its status a moment before it has the block's results. */
const isBeingCommitted = (error: Error): boolean => error.message.includes("could not find results for height");

/**
 * Blocks by height, none skipped and none twice (websocket subscriptions drop events under load). The cursor moves on
 * after the consumer asked for the next block, so that a crash repeats a block and never loses one. An unreachable
 * chain is waited for. Ends with the signal.
 */
export async function* followBlocks(options: FollowOptions): AsyncGenerator<FollowedBlock> {
  const { client, cursor, signal, log } = options;
  const pollMs = options.pollMs ?? 250;
  let head = 0n;
  let next: bigint | undefined;
  let reachable = true;
  let early = 0;
  const answered = (): void => {
    if (!reachable) log.info({ height: head }, "The chain answers again.");
    reachable = true;
  };
  while (!signal.aborted) {
    try {
      if (next === undefined || next > head) {
        head = (await client.status()).height;
        answered();
      }
      next ??= (cursor.load() ?? (options.from ?? head) - 1n) + 1n;
      if (next > head) {
        await sleep(pollMs, undefined, { signal });
        continue;
      }
      const block = await client.block(next);
      answered();
      yield block;
      cursor.save(next);
      next += 1n;
      early = 0;
    } catch (error) {
      if (signal.aborted) return;
      if (!isKaratError(error, "chain_unavailable", "rpc_error")) throw error;
      if (isBeingCommitted(error) && ++early <= MAX_EARLY) {
        await sleep(Math.min(pollMs, EARLY_MS), undefined, { signal }).catch(() => undefined);
        continue;
      }
      if (reachable) log.warn({ error: error.message, next }, "The chain does not answer; waiting for it.");
      reachable = false;
      await sleep(Math.max(pollMs, 1_000), undefined, { signal }).catch(() => undefined);
    }
  }
}
