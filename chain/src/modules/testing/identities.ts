import { addressOfKey, publicKeyOf, sha256, utf8 } from "@karat/common";
import type { participant } from "@karat/proto";

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

/** A registration with keys derived from the name, offering `models` (default "tiny") at 2 and 5 ukarat a token. */
export function registrationOf(
  name: string,
  change: Partial<participant.MsgRegisterParticipant> & { readonly models?: readonly string[] } = {},
): participant.MsgRegisterParticipant {
  const { models = ["tiny"], ...rest } = change;
  return {
    operator: keyNamed(name).address,
    nodeKey: keyNamed(`${name} node`).publicKey,
    validatorAddress: keyNamed(`${name} validator`).address,
    consensusKey: sha256(utf8(`consensus key of ${name}`)),
    url: `http://${name}.example:9000`,
    collateral: 1_000_000_000n,
    offers: models.map((model) => ({ model, inputPrice: 2n, outputPrice: 5n, capacity: 100n })),
    ...rest,
  };
}
