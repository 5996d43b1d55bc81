import { makeSignDoc as makeAminoSignDoc, serializeSignDoc } from "@cosmjs/amino";
import { AminoTypes, createBankAminoConverters } from "@cosmjs/stargate";
import { sha256, toHex } from "@karat/common";
import { SignMode } from "cosmjs-types/cosmos/tx/signing/v1beta1/signing";
import { SignDoc } from "cosmjs-types/cosmos/tx/v1beta1/tx";
import type { Account } from "../../modules/auth/index.ts";
import { ChainError, SDK } from "../errors.ts";
import { type SignatureCheck, verifyOnce } from "../signatures/verified.ts";
import { BoundedCache } from "./cache.ts";
import type { DecodedTx } from "./decode.ts";

const aminoTypes = new AminoTypes(createBankAminoConverters());

/**
 * Verifies the signatures of transactions, each once: CheckTx fills the cache, block execution finds it. A key of the
 * cache holds everything that enters the verification.
 */
export class SignatureVerifier {
  readonly #chainId: string;
  readonly #verified: BoundedCache<true>;

  constructor(chainId: string, capacity = 50_000) {
    this.#chainId = chainId;
    this.#verified = new BoundedCache(capacity);
  }

  /** Signature `index` of `tx` by an account whose public key is known. Throws `unauthorized`. */
  verify(tx: DecodedTx, index: number, account: Account, publicKey: Uint8Array): void {
    const key = `${toHex(tx.hash)}/${index}/${account.accountNumber}/${this.#chainId}`;
    if (this.#verified.get(key) === true) return;
    const { digest, signature } = this.check(tx, index, account, publicKey);
    if (!verifyOnce(digest, signature, publicKey)) {
      throw new ChainError(
        SDK.unauthorized,
        `signature verification failed; please verify account number (${account.accountNumber}), sequence (${account.sequence}) and chain-id (${this.#chainId}): unauthorized`,
      );
    }
    this.#verified.set(key, true);
  }

  /** What `verify` asks. Throws `unauthorized` for a sign mode that is not served. */
  check(tx: DecodedTx, index: number, account: Account, publicKey: Uint8Array): SignatureCheck {
    return { digest: sha256(this.#signBytes(tx, index, account)), signature: tx.raw.signatures[index]!, publicKey };
  }

  #signBytes(tx: DecodedTx, index: number, account: Account): Uint8Array {
    const mode = tx.authInfo.signerInfos[index]?.modeInfo?.single?.mode;
    if (mode === SignMode.SIGN_MODE_DIRECT) {
      return SignDoc.encode({
        bodyBytes: tx.raw.bodyBytes,
        authInfoBytes: tx.raw.authInfoBytes,
        chainId: this.#chainId,
        accountNumber: account.accountNumber,
      }).finish();
    }
    if (mode === SignMode.SIGN_MODE_LEGACY_AMINO_JSON) return this.#aminoSignBytes(tx, account);
    throw new ChainError(SDK.unauthorized, "the sign mode is neither DIRECT nor LEGACY_AMINO_JSON: unauthorized");
  }

  /** What a Ledger signs. Only messages of the bank have an amino form here. */
  #aminoSignBytes(tx: DecodedTx, account: Account): Uint8Array {
    const foreign = tx.messages.find(({ module }) => module !== "bank");
    // What the amino document does not show must not be there.
    if (foreign !== undefined || tx.body.nonCriticalExtensionOptions.length > 0 || tx.fee.payer !== "") {
      throw new ChainError(SDK.unauthorized, "LEGACY_AMINO_JSON signs plain bank messages only: unauthorized");
    }
    return serializeSignDoc(
      makeAminoSignDoc(
        tx.messages.map(({ typeUrl, value }) => aminoTypes.toAmino({ typeUrl, value })),
        { amount: tx.fee.amount.map(({ denom, amount }) => ({ denom, amount })), gas: tx.fee.gasLimit.toString() },
        this.#chainId,
        tx.body.memo,
        account.accountNumber,
        account.sequence.toString(),
        tx.body.timeoutHeight > 0n ? tx.body.timeoutHeight : undefined,
      ),
    );
  }
}
