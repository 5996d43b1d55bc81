import { randomBytes } from "node:crypto";
import { addressOfKey, KaratError, publicKeyOf, sha256 } from "@karat/common";
import { DOMAIN, sign } from "@karat/proto";
import { signMessage, verifyBytes } from "./signing.ts";

export interface AuthorizeOptions {
  readonly chainId: string;
  /** Key of the client's account. */
  readonly privateKey: Uint8Array;
  /** Its public half, where it is known: deriving it costs as much as half a signature. */
  readonly publicKey?: Uint8Array;
  readonly model: string;
  /** `requestHash` of @karat/rules over the sanitised request. */
  readonly requestHash: Uint8Array;
  readonly maxInputTokens: number;
  readonly maxOutputTokens: number;
  /** ukarat per token. */
  readonly maxInputPrice: bigint;
  readonly maxOutputPrice: bigint;
  readonly sampling: sign.Sampling;
  /** A committed height not older than the chain's max_anchor_age. */
  readonly anchorHeight: bigint;
  /** Operator address of the participant that faces the client. */
  readonly transferAgent: string;
  readonly recording: sign.RecordingMode;
  /** 1 to 32 bytes; 8 drawn at random unless given: it rides on chain, and has to differ only among a client's like orders of one block. */
  readonly nonce?: Uint8Array;
}

export interface Authorization {
  readonly bytes: Uint8Array;
  readonly signature: Uint8Array;
  /** SHA-256 of the bytes. */
  readonly inferenceId: Uint8Array;
  readonly message: sign.RequestAuthorization;
}

/** The client's signed order for one inference. */
export function authorize(options: AuthorizeOptions): Authorization {
  const { privateKey, publicKey, nonce, ...terms } = options;
  const key = publicKey ?? publicKeyOf(privateKey);
  const message = { ...terms, client: addressOfKey(key), key, nonce: nonce ?? Uint8Array.from(randomBytes(8)) };
  const { bytes, signature } = signMessage("authorization", message, privateKey);
  return { bytes, signature, inferenceId: sha256(bytes), message: { ...message, domain: DOMAIN.authorization } };
}

/** Decodes and checks an authorization. Throws KaratError `invalid_authorization` with the reason in `data.reason`. */
export function openAuthorization(bytes: Uint8Array, signature: Uint8Array): Authorization {
  const invalid = (reason: string): KaratError =>
    new KaratError("invalid_authorization", `The authorization cannot be used: ${reason}.`, { reason });
  let message: sign.RequestAuthorization;
  try {
    message = sign.RequestAuthorization.decode(bytes);
  } catch {
    throw invalid("not a RequestAuthorization");
  }
  const again = sign.RequestAuthorization.encode(message).finish();
  if (Buffer.compare(again, bytes) !== 0) throw invalid("not in canonical encoding");
  if (message.domain !== DOMAIN.authorization) throw invalid("wrong domain");
  if (message.key.length !== 33 || addressOfKey(message.key) !== message.client)
    throw invalid("the key is not the client's");
  if (!verifyBytes(bytes, signature, message.key)) throw invalid("wrong signature");
  return { bytes, signature, inferenceId: sha256(bytes), message };
}
