import { BaseAccount } from "cosmjs-types/cosmos/auth/v1beta1/auth";
import { PubKey } from "cosmjs-types/cosmos/crypto/secp256k1/keys";
import { bytes, type Codec, Item, Table, u64 } from "../../store/collections.ts";
import type { Account } from "./types.ts";

export const STORE = "auth";
export const SECP256K1_TYPE_URL = "/cosmos.crypto.secp256k1.PubKey";

/** The account as the SDK's BaseAccount, which is what clients decode. */
export function toBaseAccount(account: Account): BaseAccount {
  return BaseAccount.fromPartial({
    address: account.address,
    accountNumber: account.accountNumber,
    sequence: account.sequence,
    ...(account.publicKey && {
      pubKey: { typeUrl: SECP256K1_TYPE_URL, value: PubKey.encode({ key: account.publicKey }).finish() },
    }),
  });
}

const accountCodec: Codec<Account> = {
  encode: (account) => BaseAccount.encode(toBaseAccount(account)).finish(),
  decode(value) {
    const { address, pubKey, accountNumber, sequence } = BaseAccount.decode(value);
    return { address, publicKey: pubKey && PubKey.decode(pubKey.value).key, accountNumber, sequence };
  },
};

/** By the 20 bytes of the address. */
export const accounts = new Table(0x01, bytes, accountCodec);
/** Number → address (20 bytes): numbers are never given twice. */
export const addressesByNumber = new Table(0x03, u64, bytes);
export const nextAccountNumber = new Item(0x02, u64);
