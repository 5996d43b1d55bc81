import { addressOfKey, DENOM, isPublicKey, toBase64 } from "@karat/common";
import { compareBytes } from "@karat/rules";
import { PubKey } from "cosmjs-types/cosmos/crypto/secp256k1/keys";
import type { Any } from "cosmjs-types/google/protobuf/any";
import { type Account, type Accounts, SECP256K1_TYPE_URL } from "../modules/auth/index.ts";
import { ChainError, SDK } from "./errors.ts";
import { GAS } from "./gas.ts";
import type { Context } from "./module.ts";
import { decodeCanonical } from "./tx/canonical.ts";
import type { DecodedTx } from "./tx/decode.ts";
import type { SignatureVerifier } from "./tx/signatures.ts";

/** `protocol`: records of registered keys, free up to their share of the block. `fee`: everything else. */
export type Lane = "protocol" | "fee";

export interface AnteDeps {
  readonly accounts: Accounts;
  readonly bank: { send(ctx: Context, from: string, to: string, amount: bigint): void };
  /** Receives the fees. */
  readonly feeCollector: string;
  /** Messages that may travel in the protocol lane. */
  readonly protocolTypeUrls: ReadonlySet<string>;
  /** In millionths of a ukarat per gas. */
  minGasPriceMicros(ctx: Context): bigint;
  /** True for the node and validator addresses of registered participants. */
  isProtocolSigner(ctx: Context, address: string): boolean;
}

export interface AnteOptions {
  /** Nothing is signed and nothing needs to be paid; the gas is charged all the same. */
  readonly simulate: boolean;
  /** Most gas a block may hold. */
  readonly maxGas: bigint;
}

/**
 * What happens to a transaction before its messages, in the order of the SDK: timeout, size gas, fee, public keys,
 * signatures, sequences. Its writes persist even where the messages fail; where it throws itself, nothing does.
 */
export function runAnte(
  ctx: Context,
  tx: DecodedTx,
  deps: AnteDeps,
  verifier: SignatureVerifier,
  options: AnteOptions,
): Lane {
  const { timeoutHeight } = tx.body;
  if (timeoutHeight > 0n && ctx.height > timeoutHeight) {
    throw new ChainError(
      SDK.txTimeoutHeight,
      `block height: ${ctx.height}, timeout height: ${timeoutHeight}: tx timeout height`,
    );
  }
  if (!options.simulate && tx.fee.gasLimit > options.maxGas) {
    throw new ChainError(SDK.invalidRequest, `gas limit ${tx.fee.gasLimit} exceeds the block's ${options.maxGas}`);
  }
  ctx.gas.consume(GAS.txByte * BigInt(tx.size), "txSize");
  const lane = laneOf(ctx, tx, deps);
  if (options.simulate) chargeWhatIsMissing(ctx, tx, lane);
  deductFee(ctx, tx, deps, lane, options);
  tx.signers.forEach((signer, index) => {
    checkSignature(ctx, tx, index, signer, deps, verifier, options);
  });
  return lane;
}

/** A simulated transaction is not signed and names no fee yet; the estimate has to hold for the one that does. */
function chargeWhatIsMissing(ctx: Context, tx: DecodedTx, lane: Lane): void {
  const unsigned = tx.raw.signatures.filter(({ length }) => length === 0).length;
  ctx.gas.consume(GAS.simulatedSignature * BigInt(unsigned), "simulated signatures");
  if (lane === "fee" && tx.fee.amount.length === 0) ctx.gas.consume(GAS.simulatedFee, "simulated fee");
}

/** Whoever attaches a fee to protocol messages leaves the protocol lane, so that it never waits for the lane's share. */
function laneOf(ctx: Context, tx: DecodedTx, deps: AnteDeps): Lane {
  const free =
    tx.fee.amount.length === 0 &&
    tx.messages.every(({ typeUrl }) => deps.protocolTypeUrls.has(typeUrl)) &&
    tx.signers.every((signer) => deps.isProtocolSigner(ctx, signer));
  return free ? "protocol" : "fee";
}

function deductFee(ctx: Context, tx: DecodedTx, deps: AnteDeps, lane: Lane, options: AnteOptions): void {
  const payer = tx.signers[0]!;
  if (tx.fee.granter !== "") throw new ChainError(SDK.invalidRequest, "fee grants are not served");
  if (tx.fee.payer !== "" && tx.fee.payer !== payer) {
    throw new ChainError(SDK.invalidRequest, "the fee is paid by the first signer");
  }
  if (lane === "protocol") return;
  const paid = feeAmount(tx);
  const price = deps.minGasPriceMicros(ctx);
  // Rounded up. Not a checked product: both factors come from outside and any size of them is no fault of the node's.
  const required = (tx.fee.gasLimit * price + 999_999n) / 1_000_000n;
  if (!options.simulate && paid < required) {
    throw new ChainError(
      SDK.insufficientFee,
      `insufficient fees; got: ${paid}${DENOM} required: ${required}${DENOM}: insufficient fee`,
    );
  }
  if (deps.accounts.get(ctx, payer) === undefined) {
    throw new ChainError(SDK.unknownAddress, `fee payer address: ${payer} does not exist: unknown address`);
  }
  deps.bank.send(ctx, payer, deps.feeCollector, paid);
  ctx.emit("tx", { fee: `${paid}${DENOM}`, fee_payer: payer });
}

function feeAmount(tx: DecodedTx): bigint {
  const [coin] = tx.fee.amount;
  if (coin === undefined) return 0n;
  if (tx.fee.amount.length > 1 || coin.denom !== DENOM) {
    throw new ChainError(SDK.insufficientFee, `fees are paid in ${DENOM} only: insufficient fee`);
  }
  if (!/^(0|[1-9]\d{0,18})$/.test(coin.amount)) throw new ChainError(SDK.invalidCoins, "the fee is no amount");
  return BigInt(coin.amount);
}

function checkSignature(
  ctx: Context,
  tx: DecodedTx,
  index: number,
  signer: string,
  deps: AnteDeps,
  verifier: SignatureVerifier,
  { simulate }: AnteOptions,
): void {
  const account = deps.accounts.get(ctx, signer);
  if (account === undefined) {
    throw new ChainError(SDK.unknownAddress, `account ${signer} does not exist: unknown address`);
  }
  const info = tx.authInfo.signerInfos[index]!;
  const publicKey = signingKeyOf(account, info.publicKey, simulate);
  ctx.gas.consume(GAS.signature, "ante verify: secp256k1");
  if (!simulate) {
    if (info.sequence !== account.sequence) {
      throw new ChainError(
        SDK.invalidSequence,
        `account sequence mismatch, expected ${account.sequence}, got ${info.sequence}: incorrect account sequence`,
      );
    }
    if (publicKey === undefined) throw new ChainError(SDK.invalidPubKey, "the public key is not known: invalid pubkey");
    verifier.verify(tx, index, account, publicKey);
  }
  deps.accounts.set(ctx, { ...account, publicKey, sequence: account.sequence + 1n });
  ctx.emit("tx", { acc_seq: `${signer}/${account.sequence}` });
  ctx.emit("tx", { signature: toBase64(tx.raw.signatures[index]!) });
}

/** The account's own key, or the transaction's where it is the first one and hashes to the address. */
export function signingKeyOf(account: Account, given: Any | undefined, simulate = false): Uint8Array | undefined {
  if (given === undefined) return account.publicKey;
  if (given.typeUrl !== SECP256K1_TYPE_URL) {
    throw new ChainError(SDK.invalidPubKey, `public key type ${JSON.stringify(given.typeUrl)}: invalid pubkey`);
  }
  const { key } = decodeCanonical(PubKey, given.value, "public key");
  // A wallet that simulates may send an empty key.
  if (simulate && key.length === 0) return account.publicKey;
  // The key that was found to be the account's before.
  if (account.publicKey !== undefined && compareBytes(key, account.publicKey) === 0) return account.publicKey;
  if (!isPublicKey(key) || addressOfKey(key) !== account.address) {
    throw new ChainError(SDK.invalidPubKey, `pubKey does not match signer address ${account.address}: invalid pubkey`);
  }
  return account.publicKey ?? key;
}
