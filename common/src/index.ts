export { ADDRESS_PREFIX, addressBytes, addressOfKey, DENOM, moduleAddress } from "./address.ts";
export { fromBase64, fromHex, toBase64, toHex, utf8 } from "./bytes.ts";
export { isKaratError, KaratError, messageOf } from "./errors.ts";
export { createLogger, type Logger, silentLogger } from "./logger.ts";
export {
  isPublicKey,
  newPrivateKey,
  publicKeyOf,
  secp256k1Build,
  sha256,
  sha256Into,
  sharedSecret,
  signDigest,
  verifySignature,
} from "./secp256k1/index.ts";
