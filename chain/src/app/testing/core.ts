import { moduleAddress } from "@karat/common";
import { createAuthModule } from "../../modules/auth/index.ts";
import { createBankModule } from "../../modules/bank/index.ts";
import { type Composition, MODULE_ACCOUNTS } from "../compose.ts";

export interface CoreOptions {
  /** Addresses that may use the protocol lane. */
  readonly protocolSigners?: readonly string[];
  readonly protocolTypeUrls?: readonly string[];
  readonly minGasPriceMicros?: bigint;
}

/** Accounts and money only, with a stated protocol lane: for tests of the application itself. */
export function coreComposition(options: CoreOptions = {}): Composition {
  const auth = createAuthModule({ moduleAccounts: MODULE_ACCOUNTS });
  const bank = createBankModule({ accounts: auth, blocked: new Set(MODULE_ACCOUNTS.map(moduleAddress)) });
  return {
    modules: [auth, bank],
    endOrder: [],
    ante: {
      accounts: auth,
      bank,
      feeCollector: moduleAddress("community"),
      protocolTypeUrls: new Set(options.protocolTypeUrls ?? []),
      minGasPriceMicros: () => options.minGasPriceMicros ?? 25_000n,
      isProtocolSigner: (_, address) => options.protocolSigners?.includes(address) ?? false,
    },
  };
}

/** MsgSend as CosmJS has it. */
export const sendMessage = (from: { address: string }, to: { address: string }, amount: bigint, denom = "ukarat") => ({
  typeUrl: "/cosmos.bank.v1beta1.MsgSend",
  value: { fromAddress: from.address, toAddress: to.address, amount: [{ denom, amount: amount.toString() }] },
});
