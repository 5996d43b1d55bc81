import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { readHomeGenesis } from "../cli/home.ts";
import { announce, oneOf, readOptions } from "../cli/usage.ts";
import { assetListJson, chainJson, suggestChainJson } from "./documents.ts";
import type { NetworkOptions } from "./options.ts";

const NAMES = [
  "home",
  "out",
  "rpc",
  "rest",
  "peers",
  "network-type",
  "chain-name",
  "pretty-name",
  "genesis-url",
  "website",
  "git-repo",
] as const;

/**
 * `registry --home <dir> --out <dir> [--rpc <url>,…] [--rest <url>,…] [--peers <id@host:port>,…] [--network-type devnet]
 * [--chain-name …] [--pretty-name …] [--genesis-url …] [--website …] [--git-repo …]`: writes `chain.json` and `assetlist.json`
 * for the chain registry and, where there is an RPC and a REST endpoint, `suggest-chain.json` for wallets. Throws
 * `home_missing`, `bad_registry`.
 */
export async function registry(args: readonly string[]): Promise<void> {
  const options = readOptions(args, NAMES, ["home", "out"]);
  const genesis = await readHomeGenesis(options.home);
  const network: NetworkOptions = {
    prettyName: options["pretty-name"] ?? `Karat ${genesis.chain_id}`,
    networkType: oneOf(options["network-type"] ?? "devnet", "network-type", ["mainnet", "testnet", "devnet"]),
    rpc: list(options.rpc),
    rest: list(options.rest),
    peers: list(options.peers),
    ...(options["chain-name"] !== undefined && { chainName: options["chain-name"] }),
    ...(options["genesis-url"] !== undefined && { genesisUrl: options["genesis-url"] }),
    ...(options.website !== undefined && { website: options.website }),
    ...(options["git-repo"] !== undefined && { gitRepo: options["git-repo"] }),
  };
  const suggestion = suggestChainJson(genesis, network);
  const documents = {
    "chain.json": chainJson(genesis, network),
    "assetlist.json": assetListJson(genesis, network),
    ...(suggestion !== undefined && { "suggest-chain.json": suggestion }),
  };
  await mkdir(options.out, { recursive: true });
  for (const [name, document] of Object.entries(documents)) {
    await writeFile(join(options.out, name), `${JSON.stringify(document, null, 2)}\n`);
  }
  announce("written", { out: options.out, files: Object.keys(documents) });
}

const list = (text: string | undefined): string[] => (text ?? "").split(",").filter((item) => item !== "");
