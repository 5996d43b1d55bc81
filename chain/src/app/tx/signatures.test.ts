import { makeSignDoc as makeAminoSignDoc, Secp256k1Wallet } from "@cosmjs/amino";
import { DirectSecp256k1Wallet, makeAuthInfoBytes, makeSignDoc } from "@cosmjs/proto-signing";
import { AminoTypes, createBankAminoConverters } from "@cosmjs/stargate";
import { DENOM, fromBase64 } from "@karat/common";
import { createKaratRegistry } from "@karat/proto";
import { PubKey } from "cosmjs-types/cosmos/crypto/secp256k1/keys";
import { SignMode } from "cosmjs-types/cosmos/tx/signing/v1beta1/signing";
import { TxRaw } from "cosmjs-types/cosmos/tx/v1beta1/tx";
import { describe, expect, test } from "vitest";
import { SDK } from "../errors.ts";
import { AppHarness, coreComposition, type Signer, sendMessage } from "../testing/index.ts";

const FEE = { amount: [{ denom: DENOM, amount: "30000" }], gas: "1000000" };
const newHarness = () => new AppHarness({ clients: 2, composition: coreComposition() });

function authInfo(signer: Signer, sequence: bigint, mode?: SignMode): Uint8Array {
  const pubkey = {
    typeUrl: "/cosmos.crypto.secp256k1.PubKey",
    value: PubKey.encode({ key: signer.publicKey }).finish(),
  };
  return makeAuthInfoBytes([{ pubkey, sequence: Number(sequence) }], FEE.amount, 1_000_000, undefined, undefined, mode);
}

const body = (messages: readonly object[], memo = "") =>
  createKaratRegistry().encode({ typeUrl: "/cosmos.tx.v1beta1.TxBody", value: { messages, memo } });

describe("what CosmJS signs offline", () => {
  test("is accepted in SIGN_MODE_DIRECT", async () => {
    const harness = newHarness();
    const [from, to] = harness.clients as [Signer, Signer];
    const wallet = await DirectSecp256k1Wallet.fromKey(from.privateKey, "karat");
    expect((await wallet.getAccounts())[0]!.address).toBe(from.address);
    const { accountNumber, sequence } = harness.account(from.address)!;
    const doc = makeSignDoc(
      body([sendMessage(from, to, 5n)], "hello"),
      authInfo(from, sequence),
      harness.chainId,
      Number(accountNumber),
    );
    const { signed, signature } = await wallet.signDirect(from.address, doc);
    const tx = TxRaw.encode({ ...signed, signatures: [fromBase64(signature.signature)] }).finish();
    expect(harness.app.checkTx({ tx, type: 0 }).code).toBe(0);
    expect(harness.deliver([tx]).results[0]!.code).toBe(0);
  });

  async function aminoTx(harness: AppHarness, memo: string, signedMemo: string): Promise<Uint8Array> {
    const [from, to] = harness.clients as [Signer, Signer];
    const wallet = await Secp256k1Wallet.fromKey(from.privateKey, "karat");
    const message = sendMessage(from, to, 5n);
    const { accountNumber, sequence } = harness.account(from.address)!;
    const document = makeAminoSignDoc(
      [new AminoTypes(createBankAminoConverters()).toAmino(message)],
      FEE,
      harness.chainId,
      signedMemo,
      accountNumber,
      sequence.toString(),
    );
    const { signature } = await wallet.signAmino(from.address, document);
    return TxRaw.encode({
      bodyBytes: body([message], memo),
      authInfoBytes: authInfo(from, sequence, SignMode.SIGN_MODE_LEGACY_AMINO_JSON),
      signatures: [fromBase64(signature.signature)],
    }).finish();
  }

  test("is accepted in LEGACY_AMINO_JSON, as a Ledger signs", async () => {
    const harness = newHarness();
    // Characters that amino's JSON escapes.
    const tx = await aminoTx(harness, "a < b & c", "a < b & c");
    expect(harness.deliver([tx]).results[0]!.code).toBe(0);
  });

  test("is refused in LEGACY_AMINO_JSON when the body says something else", async () => {
    const harness = newHarness();
    const { code } = harness.deliver([await aminoTx(harness, "changed", "signed")]).results[0]!;
    expect(code).toBe(SDK.unauthorized.code);
  });
});

test("a signature that was verified does not vouch for other bytes", () => {
  const harness = newHarness();
  const [from, to] = harness.clients as [Signer, Signer];
  const tx = harness.tx(from, sendMessage(from, to, 5n), { sequence: 0n });
  expect(harness.app.checkTx({ tx, type: 0 }).code).toBe(0);
  const other = TxRaw.decode(harness.tx(from, sendMessage(from, to, 6n), { sequence: 0n }));
  const forged = TxRaw.encode({ ...other, signatures: TxRaw.decode(tx).signatures }).finish();
  expect(harness.deliver([forged]).results[0]!.code).toBe(SDK.unauthorized.code);
});
