import { addressOfKey, publicKeyOf, sha256, utf8 } from "@karat/common";
import { encodeSigned, type participant } from "@karat/proto";
import { ed25519 } from "@noble/curves/ed25519.js";

export interface TestKey {
  readonly privateKey: Uint8Array;
  readonly publicKey: Uint8Array;
  readonly address: string;
}

/** A key that follows from its name, so that a failing test fails again. */
export function keyNamed(name: string): TestKey {
  const privateKey = sha256(utf8(`key of ${name}`));
  const publicKey = publicKeyOf(privateKey);
  return { privateKey, publicKey, address: addressOfKey(publicKey) };
}

/** Of TestChain, unless a test says otherwise. */
const TEST_CHAIN = "karat-test";

const seedOf = (name: string): Uint8Array => sha256(utf8(`consensus key of ${name}`));

/** What the consensus key of `name` signs for an operator that registers it. */
export function proofOf(name: string, operator: string): Uint8Array {
  const consensusKey = ed25519.getPublicKey(seedOf(name));
  return ed25519.sign(encodeSigned("consensusKey", { chainId: TEST_CHAIN, operator, consensusKey }), seedOf(name));
}

/** A registration with keys derived from the name, offering `models` (default "tiny") at 2 and 5 ukarat a token. */
export function registrationOf(
  name: string,
  change: Partial<participant.MsgRegisterParticipant> & { readonly models?: readonly string[] } = {},
): participant.MsgRegisterParticipant {
  const { models = ["tiny"], ...rest } = change;
  const { operator } = { operator: keyNamed(name).address, ...rest };
  return {
    operator: keyNamed(name).address,
    nodeKey: keyNamed(`${name} node`).publicKey,
    validatorAddress: keyNamed(`${name} validator`).address,
    consensusKey: ed25519.getPublicKey(seedOf(name)),
    consensusProof: proofOf(name, operator),
    url: `http://${name}.example:9000`,
    collateral: 1_000_000_000n,
    offers: models.map((model) => ({ model, inputPrice: 2n, outputPrice: 5n, capacity: 100n })),
    ...rest,
  };
}
