import { addressBytes, KaratError, toBase64 } from "@karat/common";
import { consensusProof } from "../engine/consensus/proof.ts";
import { readHomeGenesis, readValidatorKey } from "./home.ts";
import { announce, readOptions } from "./usage.ts";

/**
 * `prove-consensus-key --home <dir> --operator <address>`: prints the node's consensus key and its signature for
 * MsgRegisterParticipant, in base64. It holds for this operator on the home's chain only.
 */
export async function proveConsensusKey(args: readonly string[]): Promise<void> {
  const { home, operator } = readOptions(args, ["home", "operator"], ["home", "operator"]);
  if (addressBytes(operator) === undefined) throw new KaratError("usage", "operator is no address", { operator });
  const { chain_id: chainId } = await readHomeGenesis(home);
  const key = await readValidatorKey(home);
  announce("consensus_key", {
    chainId,
    operator,
    consensusKey: toBase64(key.publicKey),
    consensusProof: toBase64(consensusProof(key, chainId, operator)),
  });
}
