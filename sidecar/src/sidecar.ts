import { readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { ChainClient, followBlocks, isTransient, TxSender } from "@karat/client";
import { fromHex, isKaratError, KaratError, type Logger, messageOf } from "@karat/common";
import { lockFolder } from "@karat/common/lock";
import { RewardClaimer } from "./claims.ts";
import type { Config } from "./config.ts";
import { fileCursor } from "./cursor.ts";
import { DutyRunner } from "./duties.ts";
import { Openings } from "./openings.ts";
import { payloadsOf } from "./payloads.ts";
import { Scorer } from "./score.ts";
import { createMetrics, serve } from "./server.ts";

/** Blocks between two looks at the chain's list of open duties and rewards, whatever the events said. */
const SWEEP_BLOCKS = 5n;
/** Events that name a validator of whom something is asked. */
const ASKING = ["duty_assigned", "window_wanted"];

/**
 * The validator's off-chain half: follows blocks, works off duties, claims rewards, until the signal. Resolves when all
 * is flushed. `onReady` gets the port of the health server.
 */
export async function runSidecar(
  config: Config,
  log: Logger,
  signal: AbortSignal,
  onReady: (port: number) => void,
): Promise<void> {
  const privateKey = readKey(config.key);
  // A second one would sign with the same key, and say other things about the same duties.
  const lock = lockFolder(config.data);
  try {
    await follow(config, privateKey, log, signal, onReady);
  } finally {
    lock.release();
  }
}

async function follow(
  config: Config,
  privateKey: Uint8Array,
  log: Logger,
  signal: AbortSignal,
  onReady: (port: number) => void,
): Promise<void> {
  const chain = await connect(config.rpc, log, signal);
  const { operator } = config;
  const metrics = createMetrics();
  const sender = new TxSender({ client: chain, privateKey, log });
  const scorer = new Scorer(config.ml, config.mlToken);
  const payloads = payloadsOf(config.api, config.apiToken);
  const duties = new DutyRunner({
    chain,
    sender,
    scorer,
    payloads: payloads.fetch,
    openings: new Openings(join(config.data, "openings")),
    operator,
    concurrency: config.concurrency,
    log,
    signal,
    onVerdict: (verdict) => metrics.verdicts.inc({ verdict: String(verdict) }),
  });
  const claims = new RewardClaimer({
    chain,
    sender,
    operator,
    log,
    onClaim: (amount) => metrics.claimed.inc(Number(amount)),
  });
  let height = 0n;
  const { server, port } = await serve(config, metrics, () => ({ operator, height, duties: duties.open }));
  onReady(port);

  let sweepAt = 0n;
  const cursor = fileCursor(join(config.data, "cursor"));
  for await (const block of followBlocks({ client: chain, cursor, signal, log })) {
    height = block.height;
    metrics.height.set(Number(height));
    const named = (type: string, key: string): boolean =>
      [block, ...block.txs].some((source) =>
        source.events.some(
          (event) => event.type === type && event.attributes.some((a) => a.key === key && a.value === operator),
        ),
      );
    const sweep = height >= sweepAt;
    duties.block(height);
    try {
      if (sweep || ASKING.some((event) => named(event, "validator"))) await duties.refresh(height);
      if (sweep) void claims.claimAll();
      if (sweep) sweepAt = height + SWEEP_BLOCKS;
    } catch (error) {
      if (!isTransient(error)) throw error;
      sweepAt = 0n; // looked at again with the next block
    }
  }

  server.close();
  await duties.drain();
  await Promise.all([scorer.close(), payloads.close()]);
  chain.close();
}

function readKey(path: string): Uint8Array {
  try {
    const key = fromHex(readFileSync(path, "utf8").trim());
    if (key.length === 32) return key;
  } catch (error) {
    throw new KaratError("invalid_key_file", `Cannot read the validator key from ${path}: ${messageOf(error)}`, {
      path,
    });
  }
  throw new KaratError("invalid_key_file", `${path} must hold 64 hex digits: the validator account's private key.`, {
    path,
  });
}

/** Waits for a chain that is not up yet. */
async function connect(rpc: string, log: Logger, signal: AbortSignal): Promise<ChainClient> {
  for (let waited = false; ; waited = true) {
    try {
      return await ChainClient.connect(rpc);
    } catch (error) {
      if (!isTransient(error) || signal.aborted) throw error;
      if (!waited && isKaratError(error)) log.warn({ rpc }, "The chain does not answer yet; waiting for it.");
      await sleep(500, undefined, { signal });
    }
  }
}
