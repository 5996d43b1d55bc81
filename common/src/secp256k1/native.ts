import type { Secp256k1 } from "./implementation.ts";

/**
 * The addon of npm `secp256k1`, by its bindings: the package's index falls back silently to a JavaScript
 * implementation with other edge cases. Rejects where this platform has no binary.
 */
export async function loadNative(): Promise<Secp256k1> {
  const { default: addon } = await import("secp256k1/bindings.js");
  return {
    name: "native",
    verify: (digest, signature, publicKey) => addon.ecdsaVerify(signature, digest, publicKey),
    sign: (digest, privateKey) => Uint8Array.from(addon.ecdsaSign(digest, privateKey).signature),
    publicKeyOf: (privateKey) => Uint8Array.from(addon.publicKeyCreate(privateKey, true)),
    isPublicKey: (bytes) => addon.publicKeyVerify(bytes),
    isPrivateKey: (bytes) => addon.privateKeyVerify(bytes),
  };
}
