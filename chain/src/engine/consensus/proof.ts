import { encodeSigned } from "@karat/proto";
import type { Ed25519Key } from "./keys.ts";

/** What a consensus key signs, so that this operator can register it on this chain, and nobody else anywhere. */
export const consensusProof = (key: Ed25519Key, chainId: string, operator: string): Uint8Array =>
  key.sign(encodeSigned("consensusKey", { chainId, operator, consensusKey: key.publicKey }));
