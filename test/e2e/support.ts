import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { ChainClient } from "@karat/client";
import type { params } from "@karat/proto";
import OpenAI from "openai";
import { freePortBase, rpcOf } from "../../scripts/localnet/lib/layout.ts";
import { Network } from "../../scripts/localnet/lib/network.ts";
import { readOptions } from "../../scripts/localnet/lib/options.ts";

export interface TestNetwork {
  readonly network: Network;
  readonly openai: OpenAI;
  readonly chain: ChainClient;
  readonly rpc: string;
  close(): Promise<void>;
}

/** A whole network in a temporary directory on free ports; `close` ends its processes by pid. */
export const startNetwork = (...flags: string[]): Promise<TestNetwork> => startNetworkWith({}, ...flags);

/** The same with other chain parameters. */
export async function startNetworkWith(change: Partial<params.Params>, ...flags: string[]): Promise<TestNetwork> {
  const dir = mkdtempSync(join(tmpdir(), "karat-e2e-"));
  const options = readOptions(["--dir", dir, "--block-time-ms", "300", ...flags]);
  const portBase = await freePortBase(options.participants);
  const network = await Network.create({ ...options, portBase }, change);
  try {
    await network.start(() => undefined);
  } catch (error) {
    await network.stop();
    throw error;
  }
  const rpc = rpcOf(network.plan);
  const chain = await ChainClient.connect(rpc);
  return {
    network,
    chain,
    rpc,
    openai: new OpenAI({ baseURL: network.endpoint, apiKey: network.apiKey, maxRetries: 0 }),
    async close() {
      chain.close();
      await network.stop();
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

/** Asks again until there is an answer that is neither undefined nor false; throws when the time is over. */
export async function eventually<T>(
  what: string,
  ask: () => Promise<T | undefined | false>,
  timeoutMs = 60_000,
): Promise<T> {
  const until = Date.now() + timeoutMs;
  let last: unknown;
  for (;;) {
    try {
      const answer = await ask();
      if (answer !== undefined && answer !== false) return answer;
    } catch (error) {
      last = error;
    }
    if (Date.now() > until) throw new Error(`not in ${timeoutMs / 1000} s: ${what}`, { cause: last });
    await sleep(150);
  }
}
