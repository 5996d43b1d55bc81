import { addressBytes, sha256 } from "@karat/common";
import { AuthInfo, Fee, TxBody, TxRaw } from "cosmjs-types/cosmos/tx/v1beta1/tx";
import { ChainError, SDK } from "../errors.ts";
import type { AnyHandler, Router } from "../router.ts";
import { decodeCanonical, refuseNul } from "./canonical.ts";
import { LIMITS } from "./limits.ts";

export interface DecodedMessage {
  readonly typeUrl: string;
  readonly module: string;
  readonly handler: AnyHandler;
  readonly value: unknown;
}

/** A transaction that is well-formed and whose messages passed what can be said without state. Shared: never changed. */
export interface DecodedTx {
  readonly size: number;
  /** SHA-256 of the bytes. */
  readonly hash: Uint8Array;
  readonly raw: TxRaw;
  readonly body: TxBody;
  readonly authInfo: AuthInfo;
  readonly fee: Fee;
  readonly messages: readonly DecodedMessage[];
  /** Addresses that must have signed, each once, in order of appearance; the first pays. */
  readonly signers: readonly string[];
}

/**
 * Throws ChainError: `tx_decode` for what is no transaction of ours, and the codes of the SDK for what is one and breaks
 * a limit or a stateless check of its messages.
 */
export function decodeTx(bytes: Uint8Array, router: Router): DecodedTx {
  if (bytes.length > LIMITS.txBytes) {
    throw new ChainError(SDK.txTooLarge, `a transaction has at most ${LIMITS.txBytes} bytes`);
  }
  if (bytes.length === 0) throw new ChainError(SDK.txDecode, "tx bytes are empty: tx parse error");
  const raw = decodeCanonical(TxRaw, bytes, "transaction");
  const body = decodeCanonical(TxBody, raw.bodyBytes, "transaction body");
  const authInfo = decodeCanonical(AuthInfo, raw.authInfoBytes, "auth info");
  checkEnvelope(raw, body, authInfo);
  const messages = body.messages.map(({ typeUrl, value }): DecodedMessage => {
    const entry = router.message(typeUrl);
    if (entry === undefined) {
      throw new ChainError(SDK.txDecode, `unable to resolve type URL ${JSON.stringify(typeUrl)}: tx parse error`);
    }
    const message = decodeCanonical(entry.handler.codec, value, typeUrl);
    refuseNul(message);
    entry.handler.checkStateless(message);
    return { typeUrl, module: entry.module, handler: entry.handler, value: message };
  });
  const signers = [...new Set(messages.flatMap(({ handler, value }) => handler.signers(value)))];
  checkSigners(signers, raw, authInfo);
  return {
    size: bytes.length,
    hash: sha256(bytes),
    raw,
    body,
    authInfo,
    fee: authInfo.fee ?? Fee.fromPartial({}),
    messages,
    signers,
  };
}

function checkEnvelope(raw: TxRaw, body: TxBody, authInfo: AuthInfo): void {
  if (body.messages.length === 0) throw new ChainError(SDK.invalidRequest, "must contain at least one message");
  if (body.messages.length > LIMITS.messages) {
    throw new ChainError(SDK.invalidRequest, `a transaction has at most ${LIMITS.messages} messages`);
  }
  if (Buffer.byteLength(body.memo) > LIMITS.memoBytes) {
    throw new ChainError(SDK.memoTooLarge, `maximum number of bytes in a memo is ${LIMITS.memoBytes}`);
  }
  if (body.extensionOptions.length > 0) throw new ChainError(SDK.unknownExtensionOptions, "unknown extension options");
  if (body.nonCriticalExtensionOptions.length > LIMITS.extensionOptions) {
    throw new ChainError(SDK.invalidRequest, "too many extension options");
  }
  if (body.unordered || body.timeoutTimestamp !== undefined) {
    throw new ChainError(SDK.invalidRequest, "unordered transactions and timeout timestamps are not served");
  }
  if (authInfo.tip !== undefined) throw new ChainError(SDK.invalidRequest, "tips are not served");
  if ((authInfo.fee?.amount.length ?? 0) > LIMITS.feeCoins)
    throw new ChainError(SDK.invalidCoins, "too many fee coins");
  if (raw.signatures.length === 0) throw new ChainError(SDK.noSignatures, "no signatures supplied");
  if (raw.signatures.length > LIMITS.signers) {
    throw new ChainError(SDK.tooManySignatures, `signatures: ${raw.signatures.length}, limit: ${LIMITS.signers}`);
  }
}

function checkSigners(signers: readonly string[], raw: TxRaw, authInfo: AuthInfo): void {
  if (signers.length === 0) throw new ChainError(SDK.invalidRequest, "nobody has to sign this");
  for (const signer of signers) {
    if (addressBytes(signer) === undefined) {
      throw new ChainError(SDK.invalidAddress, `invalid signer ${JSON.stringify(signer)}`);
    }
  }
  const { signatures } = raw;
  const infos = authInfo.signerInfos;
  if (signers.length > LIMITS.signers) {
    throw new ChainError(SDK.tooManySignatures, `signers: ${signers.length}, limit: ${LIMITS.signers}`);
  }
  if (signatures.length !== signers.length || infos.length !== signers.length) {
    throw new ChainError(
      SDK.unauthorized,
      `wrong number of signers; expected ${signers.length}, got ${signatures.length} signatures and ${infos.length} signer infos: unauthorized`,
    );
  }
}
