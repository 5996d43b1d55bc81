declare module "secp256k1/bindings.js" {
  const secp256k1: {
    ecdsaVerify(signature: Uint8Array, message: Uint8Array, publicKey: Uint8Array): boolean;
    ecdsaSign(message: Uint8Array, privateKey: Uint8Array): { signature: Uint8Array; recid: number };
    publicKeyCreate(privateKey: Uint8Array, compressed: boolean): Uint8Array;
    publicKeyVerify(publicKey: Uint8Array): boolean;
    privateKeyVerify(privateKey: Uint8Array): boolean;
  };
  export default secp256k1;
}
