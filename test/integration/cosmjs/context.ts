import { Secp256k1Wallet } from "@cosmjs/amino";
import { DirectSecp256k1Wallet, type EncodeObject } from "@cosmjs/proto-signing";
import {
  type AuthExtension,
  type BankExtension,
  QueryClient,
  SigningStargateClient,
  type StakingExtension,
  type StdFee,
  setupAuthExtension,
  setupBankExtension,
  setupStakingExtension,
  setupTxExtension,
  type TxExtension,
} from "@cosmjs/stargate";
import { Comet38Client } from "@cosmjs/tendermint-rpc";
import { DENOM } from "@karat/common";
import { createKaratRegistry } from "@karat/proto";
import { TxRaw } from "cosmjs-types/cosmos/tx/v1beta1/tx";
import { expect, test, vi } from "vitest";
import { type Signer, signerOf } from "../../../chain/src/app/testing/index.ts";

export const CHAIN_ID = "karat-cosmjs-1";
export const START_AMOUNT = 1_000_000_000n;

/** What the checks of one engine and one transport work with: stock CosmJS clients on one endpoint. */
export interface Suite {
  readonly transport: "http" | "ws";
  readonly endpoint: string;
  readonly comet: Comet38Client;
  readonly query: QueryClient & AuthExtension & BankExtension & StakingExtension & TxExtension;
  /** Signs SIGN_MODE_DIRECT as `alice`. */
  readonly direct: SigningStargateClient;
  /** Signs SIGN_MODE_LEGACY_AMINO_JSON as `ledger`, as a Ledger does. */
  readonly amino: SigningStargateClient;
  readonly alice: Signer;
  readonly ledger: Signer;
  /** Has money, and never signs. */
  readonly bob: Signer;
}

/** Accounts of their own for each transport, so that sequences and balances are nobody else's. */
export const suiteAccounts = (transport: string) => ({
  alice: signerOf(`cosmjs alice ${transport}`),
  ledger: signerOf(`cosmjs ledger ${transport}`),
  bob: signerOf(`cosmjs bob ${transport}`),
});

export async function connect(url: string, transport: "http" | "ws"): Promise<Suite> {
  const endpoint = transport === "http" ? url : url.replace("http", "ws");
  const accounts = suiteAccounts(transport);
  const options = { registry: createKaratRegistry(), broadcastPollIntervalMs: 20 };
  const directWallet = await DirectSecp256k1Wallet.fromKey(accounts.alice.privateKey, "karat");
  const aminoWallet = await Secp256k1Wallet.fromKey(accounts.ledger.privateKey, "karat");
  // CosmJS 0.39 never sends a request that is made after its websocket has opened with none waiting, so each client asks at once.
  const comet = await Comet38Client.connect(endpoint);
  await comet.health();
  const direct = await SigningStargateClient.connectWithSigner(endpoint, directWallet, options);
  await direct.getHeight();
  const amino = await SigningStargateClient.connectWithSigner(endpoint, aminoWallet, options);
  await amino.getHeight();
  return {
    transport,
    endpoint,
    comet,
    direct,
    amino,
    query: QueryClient.withExtensions(
      comet,
      setupAuthExtension,
      setupBankExtension,
      setupStakingExtension,
      setupTxExtension,
    ),
    ...accounts,
  };
}

export function disconnect({ comet, direct, amino }: Suite): void {
  for (const client of [comet, direct, amino]) client.disconnect();
}

export type Checks = (suite: () => Suite, check: Check) => void;
/** One named check. */
export type Check = (name: string, run: (suite: Suite) => Promise<unknown>) => void;

/** Registers checks as tests and counts them. */
export function checking(suite: () => Suite, counted: Set<string>): Check {
  return (name, run) => {
    counted.add(name);
    test(name, async () => void (await run(suite())));
  };
}

export const FEE: StdFee = { amount: [{ denom: DENOM, amount: "5000" }], gas: "200000" };
export const coins = (amount: bigint | number, denom = DENOM) => [{ denom, amount: amount.toString() }];

export const send = (from: Signer, to: Signer, amount: bigint | number, denom = DENOM): EncodeObject => ({
  typeUrl: "/cosmos.bank.v1beta1.MsgSend",
  value: { fromAddress: from.address, toAddress: to.address, amount: coins(amount, denom) },
});

/** Signed by alice with her next sequence, or another one. */
export async function signed(
  { direct, alice }: Suite,
  messages: readonly EncodeObject[],
  options: {
    fee?: StdFee;
    memo?: string;
    sequence?: number;
    chainId?: string;
    accountNumber?: bigint;
    timeout?: bigint;
  } = {},
): Promise<Uint8Array> {
  const { accountNumber, sequence } = await direct.getSequence(alice.address);
  const data = {
    accountNumber: options.accountNumber ?? accountNumber,
    sequence: options.sequence ?? sequence,
    chainId: options.chainId ?? CHAIN_ID,
  };
  const { fee = FEE, memo = "", timeout } = options;
  return TxRaw.encode(await direct.sign(alice.address, messages, fee, memo, data, timeout)).finish();
}

/** Ends by itself once the height has come. */
export async function untilHeight({ comet }: Suite, height: number): Promise<void> {
  await vi.waitFor(
    async () => expect((await comet.status()).syncInfo.latestBlockHeight).toBeGreaterThanOrEqual(height),
    { timeout: 30_000, interval: 30 },
  );
}

/** What a promise rejects with. */
export async function failureOf(job: Promise<unknown>): Promise<Error & { code?: number; codespace?: string }> {
  return job.then(
    () => expect.unreachable("it did not fail"),
    (error: Error) => error,
  );
}

/** CometBFT indexes a moment after the commit. */
export const soon = <T>(job: () => Promise<T>): Promise<T> => vi.waitFor(job, { timeout: 20_000, interval: 20 });
