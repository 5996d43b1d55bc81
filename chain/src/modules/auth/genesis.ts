import { addressOfKey, fromBase64, isPublicKey, toBase64 } from "@karat/common";
import { ChainError, SDK } from "../../app/errors.ts";
import type { Context } from "../../app/module.ts";
import type { Accounts } from "./keeper.ts";
import { accounts, STORE } from "./keys.ts";

export interface AuthGenesis {
  /** Numbered in this order. `publicKey` is base64 of a compressed secp256k1 key. */
  readonly accounts?: readonly { readonly address: string; readonly publicKey?: string; readonly sequence?: string }[];
}

const refuse = (reason: string): never => {
  throw new ChainError(SDK.invalidGenesis, `auth: ${reason}`);
};

/** Throws `invalid_genesis` where an account comes twice or its key is not its own. */
export function initAuthGenesis(ctx: Context, keeper: Accounts, state: AuthGenesis): void {
  for (const { address, publicKey, sequence } of state.accounts ?? []) {
    if (keeper.get(ctx, address) !== undefined) refuse(`account ${address} comes twice`);
    if (sequence !== undefined && !/^\d{1,19}$/.test(sequence)) refuse(`sequence of ${address}`);
    const key = publicKey === undefined ? undefined : fromBase64(publicKey);
    if (key !== undefined && (!isPublicKey(key) || addressOfKey(key) !== address)) refuse(`public key of ${address}`);
    keeper.set(ctx, { ...keeper.ensure(ctx, address), publicKey: key, sequence: BigInt(sequence ?? "0") });
  }
}

/** All accounts in the order of their numbers. */
export function exportAuthGenesis(ctx: Context): AuthGenesis {
  return {
    accounts: Array.from(accounts.entries(ctx.store(STORE)), ([, account]) => account)
      .sort((a, b) => (a.accountNumber < b.accountNumber ? -1 : 1))
      .map(({ address, publicKey, sequence }) => ({
        address,
        ...(publicKey && { publicKey: toBase64(publicKey) }),
        ...(sequence > 0n && { sequence: sequence.toString() }),
      })),
  };
}
