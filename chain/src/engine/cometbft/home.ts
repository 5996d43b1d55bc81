import { mkdir, rename, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type GenesisJson, genesisJson, parseGenesis } from "../consensus/genesis.ts";
import { type Ed25519Key, privateKeyJson, publicKeyJson } from "../consensus/keys.ts";

/** Joining by a snapshot: the block that is trusted, and who serves the light blocks that follow from it. */
export interface CometStateSync {
  /** `http://host:port`, at least two. */
  readonly servers: readonly string[];
  readonly height: bigint;
  /** Of that block, in hex. */
  readonly hash: string;
  /** How long after its time a block may be trusted. */
  readonly trustPeriodMs: number;
}

export interface CometSettings {
  readonly moniker: string;
  /** Address of the ABCI server, `tcp://…` or `unix://…`. */
  readonly proxyApp: string;
  /** `tcp://host:port`. */
  readonly rpcListen: string;
  readonly p2pListen: string;
  /** `host:port` under which others reach `p2pListen`; absent where it is the same. */
  readonly externalAddress?: string;
  /** `id@host:port` of each peer to stay connected to. */
  readonly persistentPeers: readonly string[];
  /** Milliseconds between a commit and the next proposal. */
  readonly blockTimeMs: number;
  /** Milliseconds between blocks while no transaction waits; absent, as `blockTimeMs`. */
  readonly blockTimeIdleMs?: number;
  /** `host:port` of Prometheus metrics; absent, none. */
  readonly metricsListen?: string;
  readonly logLevel: "error" | "info" | "debug";
  /** Absent, the node takes all blocks. */
  readonly stateSync?: CometStateSync;
}

/** A node's name on the network: the address of its node key in lower-case hex. */
export const nodeIdOf = (nodeKey: Ed25519Key): string => Buffer.from(nodeKey.address).toString("hex");

/**
 * Writes a CometBFT home folder: `config/{config.toml,genesis.json,priv_validator_key.json,node_key.json}` and, where there is
 * none, `data/priv_validator_state.json`. That last file is what keeps a validator from signing twice: it is never overwritten.
 */
export async function writeCometHome(options: {
  home: string;
  genesis: GenesisJson;
  validatorKey: Ed25519Key;
  nodeKey: Ed25519Key;
  settings: CometSettings;
}): Promise<void> {
  const config = join(options.home, "config");
  const data = join(options.home, "data");
  await mkdir(config, { recursive: true });
  await mkdir(data, { recursive: true });
  const { validatorKey } = options;
  await writeJson(join(config, "genesis.json"), genesisJson(parseGenesis(options.genesis)));
  await writeJson(join(config, "priv_validator_key.json"), {
    address: Buffer.from(validatorKey.address).toString("hex").toUpperCase(),
    pub_key: publicKeyJson(validatorKey.publicKey),
    priv_key: privateKeyJson(validatorKey),
  });
  await writeJson(join(config, "node_key.json"), { priv_key: privateKeyJson(options.nodeKey) });
  await writeFile(join(config, "config.toml"), configToml(options.settings), { mode: 0o600 });
  const state = join(data, "priv_validator_state.json");
  if (!(await exists(state))) await writeJson(state, { height: "0", round: 0, step: 0 });
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

async function writeJson(path: string, value: unknown): Promise<void> {
  await writeFile(`${path}.new`, JSON.stringify(value, null, 2), { mode: 0o600 });
  await rename(`${path}.new`, path);
}

const ms = (value: number) => JSON.stringify(`${Math.round(value)}ms`);
/** TOML's basic strings escape as JSON's do. */
const str = (value: string) => JSON.stringify(value);

/** Only what differs from CometBFT's defaults: it fills the rest in. */
function configToml(settings: CometSettings): string {
  const idle = settings.blockTimeIdleMs;
  const metrics = settings.metricsListen;
  return `proxy_app = ${str(settings.proxyApp)}
moniker = ${str(settings.moniker)}
abci = "socket"
log_level = ${str(settings.logLevel)}
log_format = "json"

[rpc]
laddr = ${str(settings.rpcListen)}
cors_allowed_origins = ["*"]

[p2p]
laddr = ${str(settings.p2pListen)}
external_address = ${str(settings.externalAddress ?? "")}
persistent_peers = ${str(settings.persistentPeers.join(","))}
# Nodes of one network may share a host or stand in private address ranges.
addr_book_strict = false
allow_duplicate_ip = true

[consensus]
timeout_commit = ${ms(settings.blockTimeMs)}
create_empty_blocks_interval = ${idle === undefined ? '"0s"' : ms(idle)}

${stateSyncToml(settings.stateSync)}[instrumentation]
prometheus = ${metrics !== undefined}
${metrics === undefined ? "" : `prometheus_listen_addr = ${str(metrics)}\n`}`;
}

/** CometBFT looks for snapshots for no less than five seconds. */
function stateSyncToml(sync: CometStateSync | undefined): string {
  if (sync === undefined) return "";
  return `[statesync]
enable = true
rpc_servers = ${str(sync.servers.join(","))}
trust_height = ${sync.height}
trust_hash = ${str(sync.hash)}
trust_period = ${ms(sync.trustPeriodMs)}
discovery_time = "5s"

`;
}
