import type { Secp256k1 } from "./implementation.ts";

/**
 * The same C library compiled to WebAssembly, a third as fast, for platforms without a binary of the addon. Not
 * libauth's index: that loads a virtual machine beside it.
 */
export async function loadWasm(): Promise<Secp256k1> {
  const { instantiateSecp256k1 } = await import("@bitauth/libauth/build/lib/crypto/secp256k1.js");
  const library = await instantiateSecp256k1();
  const bytesOf = (result: Uint8Array | string): Uint8Array => {
    if (typeof result === "string") throw new RangeError(result);
    return result;
  };
  return {
    name: "wasm",
    verify: (digest, signature, publicKey) => library.verifySignatureCompactLowS(signature, publicKey, digest),
    sign: (digest, privateKey) => bytesOf(library.signMessageHashCompact(privateKey, digest)),
    publicKeyOf: (privateKey) => bytesOf(library.derivePublicKeyCompressed(privateKey)),
    isPublicKey: (bytes) => library.validatePublicKey(bytes),
    isPrivateKey: (bytes) => library.validatePrivateKey(bytes),
  };
}
