import { encoderOf } from "./encoder.ts";
import * as sign from "./modules/sign.ts";

/** First field of everything that is signed: no signature can be taken for one of another kind. */
export const DOMAIN = {
  authorization: "karat/authorization/v1",
  continuation: "karat/continuation/v1",
  receipt: "karat/receipt/v1",
  busy: "karat/busy/v1",
  response: "karat/response/v1",
  delivery: "karat/delivery/v1",
  peer: "karat/peer/v1",
  consensusKey: "karat/consensus-key/v1",
} as const;

/** The messages that are signed, by kind, without their domain. */
export interface SignedMessage {
  authorization: Omit<sign.RequestAuthorization, "domain">;
  continuation: Omit<sign.Continuation, "domain">;
  receipt: Omit<sign.Receipt, "domain">;
  busy: Omit<sign.Busy, "domain">;
  response: Omit<sign.ResponseReceipt, "domain">;
  delivery: Omit<sign.DeliveryReceipt, "domain">;
  peer: Omit<sign.PeerRequest, "domain">;
  consensusKey: Omit<sign.ConsensusKeyProof, "domain">;
}

const encoders: {
  readonly [K in keyof SignedMessage]: (message: SignedMessage[K] & { domain: string }) => Uint8Array;
} = {
  authorization: encoderOf(sign.RequestAuthorization),
  continuation: encoderOf(sign.Continuation),
  receipt: encoderOf(sign.Receipt),
  busy: encoderOf(sign.Busy),
  response: encoderOf(sign.ResponseReceipt),
  delivery: encoderOf(sign.DeliveryReceipt),
  peer: encoderOf(sign.PeerRequest),
  consensusKey: encoderOf(sign.ConsensusKeyProof),
};

/**
 * Canonical bytes of a signed message: fields in order, defaults omitted, the domain first. The signature is
 * secp256k1 (64 bytes, low S) over the SHA-256 of these bytes; for an authorization that hash is the inference id.
 */
export function encodeSigned<K extends keyof SignedMessage>(kind: K, message: SignedMessage[K]): Uint8Array {
  return encoders[kind]({ ...message, domain: DOMAIN[kind] });
}
