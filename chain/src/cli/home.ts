/**
 * A node's home folder, which has no configuration file:
 *
 *     config/genesis.json               the chain, in CometBFT's format
 *     config/priv_validator_key.json    the ed25519 key that signs blocks, in CometBFT's format
 *     config/node_key.json              the ed25519 key that names the node towards its peers
 *     data/state/                       the application's state (LMDB)
 *     data/snapshots/                   snapshots for peers
 *     data/solo/ or comet/              what the engine keeps
 *     data/lock.db, lock.pid            held by the process that has the home open
 *     data/state-sync-unfinished        there while a first start takes the state from a snapshot
 */
import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { KaratError } from "@karat/common";
import {
  type Ed25519Key,
  ed25519Key,
  privateKeyJson,
  publicKeyJson,
  randomEd25519Key,
} from "../engine/consensus/keys.ts";
import { type GenesisJson, readGenesis } from "../engine/index.ts";

export const homePaths = (home: string) => ({
  data: join(home, "data"),
  genesis: join(home, "config", "genesis.json"),
  validatorKey: join(home, "config", "priv_validator_key.json"),
  nodeKey: join(home, "config", "node_key.json"),
  state: join(home, "data", "state"),
  snapshots: join(home, "data", "snapshots"),
  solo: join(home, "data", "solo"),
  comet: join(home, "comet"),
});

/** Throws `home_missing` where `init` has not been run. */
export async function readHomeGenesis(home: string): Promise<GenesisJson> {
  const path = homePaths(home).genesis;
  return readGenesis(path).catch((error: unknown) => {
    if (isMissing(error)) throw new KaratError("home_missing", "there is no genesis: run init first", { path });
    throw error;
  });
}

export async function writeHomeGenesis(home: string, genesis: GenesisJson): Promise<void> {
  await writeJson(homePaths(home).genesis, genesis);
}

/** The key that signs blocks. Throws `home_missing`, `bad_key`. */
export async function readValidatorKey(home: string): Promise<Ed25519Key> {
  const key = await readKey(homePaths(home).validatorKey);
  if (key === undefined) {
    throw new KaratError("home_missing", "there is no validator key: run init first", {
      path: homePaths(home).validatorKey,
    });
  }
  return key;
}

/** Writes the key that signs blocks, from its 32-byte seed; never over another one (`key_exists`). */
export async function writeValidatorKey(home: string, seed: Uint8Array): Promise<Ed25519Key> {
  const path = homePaths(home).validatorKey;
  const known = await readKey(path);
  const key = ed25519Key(seed);
  if (known !== undefined) {
    if (Buffer.compare(known.seed, key.seed) === 0) return known;
    throw new KaratError("key_exists", "the home has another validator key already", { path });
  }
  await writeJson(path, {
    address: Buffer.from(key.address).toString("hex").toUpperCase(),
    pub_key: publicKeyJson(key.publicKey),
    priv_key: privateKeyJson(key),
  });
  return key;
}

/** The key of the home, made where there is none. */
export async function ensureValidatorKey(home: string): Promise<Ed25519Key> {
  return (await readKey(homePaths(home).validatorKey)) ?? writeValidatorKey(home, randomEd25519Key().seed);
}

/** The node's name towards its peers, made where there is none. */
export async function ensureNodeKey(home: string): Promise<Ed25519Key> {
  const path = homePaths(home).nodeKey;
  const known = await readKey(path);
  if (known !== undefined) return known;
  const key = randomEd25519Key();
  await writeJson(path, { priv_key: privateKeyJson(key) });
  return key;
}

async function readKey(path: string): Promise<Ed25519Key | undefined> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
  const bytes = Buffer.from(secretOf(text) ?? "", "base64");
  if (bytes.length !== 64) throw new KaratError("bad_key", "not a CometBFT ed25519 key file", { path });
  const key = ed25519Key(new Uint8Array(bytes.subarray(0, 32)));
  if (!bytes.subarray(32).equals(Buffer.from(key.publicKey))) {
    throw new KaratError("bad_key", "the key's halves do not belong together", { path });
  }
  return key;
}

function secretOf(text: string): string | undefined {
  try {
    const json = JSON.parse(text) as { priv_key?: { type?: unknown; value?: unknown } } | null;
    const { type, value } = json?.priv_key ?? {};
    return type === "tendermint/PrivKeyEd25519" && typeof value === "string" ? value : undefined;
  } catch {
    return undefined;
  }
}

const isMissing = (error: unknown): boolean => (error as NodeJS.ErrnoException).code === "ENOENT";

async function writeJson(path: string, value: unknown): Promise<void> {
  await mkdir(join(path, ".."), { recursive: true });
  await writeFile(`${path}.new`, `${JSON.stringify(value, null, 2)}\n`, { mode: 0o600 });
  await rename(`${path}.new`, path);
}
