import { addressOfKey, publicKeyOf, sha256, signDigest, utf8 } from "@karat/common";
import { createKaratRegistry } from "@karat/proto";
import type { Coin } from "cosmjs-types/cosmos/base/v1beta1/coin";
import { PubKey } from "cosmjs-types/cosmos/crypto/secp256k1/keys";
import { SignMode } from "cosmjs-types/cosmos/tx/signing/v1beta1/signing";
import { AuthInfo, SignDoc, TxBody, TxRaw } from "cosmjs-types/cosmos/tx/v1beta1/tx";
import { SECP256K1_TYPE_URL } from "../../modules/auth/index.ts";

/** An account with its key, the same for the same label: tests are repeatable. */
export interface Signer {
  readonly label: string;
  readonly privateKey: Uint8Array;
  readonly publicKey: Uint8Array;
  readonly address: string;
}

export function signerOf(label: string): Signer {
  const privateKey = sha256(utf8(`karat test key: ${label}`));
  const publicKey = publicKeyOf(privateKey);
  return { label, privateKey, publicKey, address: addressOfKey(publicKey) };
}

/** A message as CosmJS has it before encoding. */
export interface Message {
  readonly typeUrl: string;
  readonly value: unknown;
}

export interface SignOptions {
  readonly chainId: string;
  /** One for each signer. */
  readonly accounts: readonly { accountNumber: bigint; sequence: bigint }[];
  readonly fee: readonly Coin[];
  readonly gasLimit: bigint;
  readonly memo?: string;
  readonly timeoutHeight?: bigint;
}

const registry = createKaratRegistry();

/** A transaction signed with SIGN_MODE_DIRECT by every signer. */
export function signTx(signers: readonly Signer[], messages: readonly Message[], options: SignOptions): Uint8Array {
  const bodyBytes = TxBody.encode(
    TxBody.fromPartial({
      messages: messages.map(({ typeUrl, value }) => ({ typeUrl, value: registry.encode({ typeUrl, value }) })),
      memo: options.memo ?? "",
      timeoutHeight: options.timeoutHeight ?? 0n,
    }),
  ).finish();
  const authInfoBytes = AuthInfo.encode(
    AuthInfo.fromPartial({
      signerInfos: signers.map(({ publicKey }, index) => ({
        publicKey: { typeUrl: SECP256K1_TYPE_URL, value: PubKey.encode({ key: publicKey }).finish() },
        modeInfo: { single: { mode: SignMode.SIGN_MODE_DIRECT } },
        sequence: options.accounts[index]!.sequence,
      })),
      fee: { amount: [...options.fee], gasLimit: options.gasLimit },
    }),
  ).finish();
  const signatures = signers.map(({ privateKey }, index) => {
    const { accountNumber } = options.accounts[index]!;
    const doc = SignDoc.encode({ bodyBytes, authInfoBytes, chainId: options.chainId, accountNumber }).finish();
    return signDigest(sha256(doc), privateKey);
  });
  return TxRaw.encode({ bodyBytes, authInfoBytes, signatures }).finish();
}
