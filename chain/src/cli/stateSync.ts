/**
 * Joining a network by a snapshot of its state instead of by its blocks. What is trusted is one block's hash, from which
 * CometBFT's light client verifies the app hash that the snapshot must lead to.
 */
import { existsSync } from "node:fs";
import { mkdir, readdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { KaratError, type Logger } from "@karat/common";
import { paramsOfJson } from "../engine/consensus/params.ts";
import type { CometStateSync, GenesisJson } from "../engine/index.ts";
import type { RpcCommit, RpcStatus } from "../engine/rpcTypes.ts";
import { httpNodeRpc } from "../rest/index.ts";
import { homePaths } from "./home.ts";
import { usageError } from "./usage.ts";

/** What an operator says. */
export interface StateSyncSettings {
  /** `http://host:port` of nodes that serve light blocks. */
  readonly servers: readonly string[];
  /** A block that the operator knows; without it the servers are asked, and have to agree. */
  readonly trust?: { readonly height: bigint; readonly hash: string };
}

export interface StateSyncStart {
  readonly comet: CometStateSync;
  /** To be called once the node has a block. */
  finished(): Promise<void>;
}

/** A trusted block this far back is before the snapshots that peers offer, yet well within the time that it can be trusted. */
const BLOCKS_BACK = 1_000n;
const RPC_TIMEOUT_MS = 10_000;

/** Of `--state-sync` and `--trust`. Throws `usage`. */
export function stateSyncSettings(servers: string, trust: string | undefined): StateSyncSettings {
  const urls = servers.split(",").map((text) => text.trim());
  if (urls.some((url) => !/^https?:\/\/[^/\s"]+$/.test(url))) {
    throw usageError("--state-sync is http://host:port of one or more nodes, separated by commas", { value: servers });
  }
  if (trust === undefined) return { servers: urls };
  const match = /^([1-9]\d{0,15}):([0-9A-Fa-f]{64})$/.exec(trust);
  if (match === null) throw usageError("--trust is height:hash, of a block that you know", { value: trust });
  return { servers: urls, trust: { height: BigInt(match[1]!), hash: match[2]!.toUpperCase() } };
}

/**
 * Prepares a home for state sync: undefined where it holds a chain already. What an attempt that did not finish has left is
 * removed, for neither engine nor application can say how far it came; the validator's signing state is kept.
 * Throws `state_sync_servers` where a server does not answer as one, or they do not agree.
 */
export async function prepareStateSync(
  home: string,
  settings: StateSyncSettings,
  genesis: GenesisJson,
  log: Logger,
): Promise<StateSyncStart | undefined> {
  const paths = homePaths(home);
  const marker = join(paths.data, "state-sync-unfinished");
  const blocks = join(paths.comet, "data");
  if (existsSync(marker)) await removeAttempt(paths.state, blocks);
  else if (existsSync(paths.state) || existsSync(join(blocks, "blockstore.db"))) {
    log.info({ home }, "this home holds a chain: no state sync");
    return undefined;
  }
  const trusted = await trustedBlock(settings, genesis, log);
  await mkdir(paths.data, { recursive: true });
  await writeFile(marker, "");
  // CometBFT wants two: with one of the operator's own, it is its own witness.
  const servers = settings.servers.length === 1 ? [...settings.servers, ...settings.servers] : settings.servers;
  return {
    comet: { servers, height: trusted.height, hash: trusted.hash, trustPeriodMs: trustPeriod(genesis) },
    finished: () => rm(marker),
  };
}

async function removeAttempt(state: string, blocks: string): Promise<void> {
  await rm(state, { recursive: true, force: true });
  const names = await readdir(blocks).catch((): string[] => []);
  for (const name of names) {
    if (name !== "priv_validator_state.json") await rm(join(blocks, name), { recursive: true, force: true });
  }
}

/** As long as whoever signed it can be punished, with a margin: two thirds of the age of evidence, in milliseconds. */
function trustPeriod({ consensus_params: params }: GenesisJson): number {
  const { seconds } = paramsOfJson(params).evidence!.maxAgeDuration!;
  return Number((seconds * 2_000n) / 3n);
}

async function trustedBlock(
  { servers, trust }: StateSyncSettings,
  genesis: GenesisJson,
  log: Logger,
): Promise<{ height: bigint; hash: string }> {
  const height = trust?.height ?? (await heightToTrust(servers[0]!, genesis));
  const hashes = await Promise.all(servers.map((server) => hashAt(server, height)));
  const hash = trust?.hash ?? hashes[0]!;
  const other = hashes.findIndex((each) => each !== hash);
  if (other !== -1) {
    throw new KaratError("state_sync_servers", "the servers do not agree about the trusted block", {
      height,
      expected: hash,
      server: servers[other],
      found: hashes[other],
    });
  }
  if (trust === undefined) {
    const block = { height: height.toString(), hash };
    log.warn(block, "trusting the servers for a block; compare it with a source of your own, or name it with --trust");
  }
  return { height, hash };
}

async function heightToTrust(server: string, genesis: GenesisJson): Promise<bigint> {
  const { node_info: node, sync_info: sync } = await call<RpcStatus>(server, "status", {});
  if (node.network !== genesis.chain_id) {
    const data = { server, expected: genesis.chain_id, found: node.network };
    throw new KaratError("state_sync_servers", "the server is of another chain", data);
  }
  const [earliest, latest] = [BigInt(sync.earliest_block_height), BigInt(sync.latest_block_height)];
  const back = latest - BLOCKS_BACK;
  return back > earliest ? back : earliest;
}

async function hashAt(server: string, height: bigint): Promise<string> {
  const { signed_header } = await call<{ signed_header: { commit: RpcCommit } }>(server, "commit", {
    height: height.toString(),
  });
  return signed_header.commit.block_id.hash;
}

async function call<T>(server: string, method: string, params: Record<string, string>): Promise<T> {
  try {
    return (await httpNodeRpc(() => server, { timeoutMs: RPC_TIMEOUT_MS }).call(method, params)) as T;
  } catch (error) {
    throw new KaratError("state_sync_servers", "a server does not answer", { server, method }, error);
  }
}
