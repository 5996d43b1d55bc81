import { KaratError, toBase64, toHex } from "@karat/common";
import { validateGenesis } from "../app/validateGenesis.ts";
import { nodeIdOf, readGenesis } from "../engine/index.ts";
import { ensureNodeKey, ensureValidatorKey, writeHomeGenesis } from "./home.ts";
import { announce, readOptions } from "./usage.ts";

/**
 * `init --home <dir> [--genesis <file>] [--chain-id <id>]`: makes the keys that are missing and takes over a genesis after
 * the application has accepted it. Without a genesis it makes the keys only: whoever writes the genesis needs them.
 */
export async function init(args: readonly string[]): Promise<void> {
  const options = readOptions(args, ["home", "genesis", "chain-id"], ["home"]);
  const genesis = options.genesis === undefined ? undefined : await readGenesis(options.genesis);
  if (genesis !== undefined) {
    const expected = options["chain-id"];
    if (expected !== undefined && genesis.chain_id !== expected) {
      throw new KaratError("wrong_chain", "the genesis is of another chain", { expected, found: genesis.chain_id });
    }
    validateGenesis(genesis);
  }
  const key = await ensureValidatorKey(options.home);
  const nodeKey = await ensureNodeKey(options.home);
  if (genesis !== undefined) await writeHomeGenesis(options.home, genesis);
  announce("initialised", {
    chainId: genesis?.chain_id ?? null,
    validator: { address: toHex(key.address).toUpperCase(), publicKey: toBase64(key.publicKey) },
    nodeId: nodeIdOf(nodeKey),
  });
}
