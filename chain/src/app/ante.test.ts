import { moduleAddress, signDigest } from "@karat/common";
import { secp256k1 } from "@noble/curves/secp256k1.js";
import { PubKey } from "cosmjs-types/cosmos/crypto/secp256k1/keys";
import { SignMode } from "cosmjs-types/cosmos/tx/signing/v1beta1/signing";
import { AuthInfo, TxBody, TxRaw } from "cosmjs-types/cosmos/tx/v1beta1/tx";
import { describe, expect, test } from "vitest";
import { type ErrorKind, SDK } from "./errors.ts";
import { MAX_BLOCK_GAS } from "./genesis.ts";
import { AppHarness, coreComposition, type Signer, sendMessage, signerOf, signTx } from "./testing/index.ts";

const newHarness = () => new AppHarness({ clients: 2, composition: coreComposition() });
const stranger = signerOf("stranger");

/** Changes a transaction's parts and packs them again, without a new signature. */
function altered(
  tx: Uint8Array,
  change: (parts: { body: TxBody; authInfo: AuthInfo; raw: TxRaw }) => void,
): Uint8Array {
  const raw = TxRaw.decode(tx);
  const parts = { raw, body: TxBody.decode(raw.bodyBytes), authInfo: AuthInfo.decode(raw.authInfoBytes) };
  change(parts);
  return TxRaw.encode({
    bodyBytes: TxBody.encode(parts.body).finish(),
    authInfoBytes: AuthInfo.encode(parts.authInfo).finish(),
    signatures: raw.signatures,
  }).finish();
}

const concat = (...parts: Uint8Array[]) => new Uint8Array(Buffer.concat(parts));
const kindOf = ({ code, codespace }: { code: number; codespace: string }) => ({ code, codespace });
const ok = { code: 0, codespace: "" };

interface Case {
  name: string;
  tx: (harness: AppHarness, from: Signer, to: Signer) => Uint8Array;
  expected: ErrorKind;
}

const highS = (signature: Uint8Array): Uint8Array => {
  const s = BigInt(`0x${Buffer.from(signature.subarray(32)).toString("hex")}`);
  const other = (secp256k1.Point.Fn.ORDER - s).toString(16).padStart(64, "0");
  return concat(signature.subarray(0, 32), Buffer.from(other, "hex"));
};

const cases: Case[] = [
  { name: "bytes that are no transaction", tx: () => new Uint8Array([1, 2, 3]), expected: SDK.txDecode },
  { name: "nothing", tx: () => new Uint8Array(), expected: SDK.txDecode },
  {
    name: "an unknown field in the envelope",
    tx: (h, from, to) => concat(h.tx(from, sendMessage(from, to, 1n)), Uint8Array.of(0x7a, 0x00)),
    expected: SDK.txDecode,
  },
  {
    name: "a field of the envelope twice",
    tx: (h, from, to) => {
      const tx = h.tx(from, sendMessage(from, to, 1n));
      const { bodyBytes } = TxRaw.decode(tx);
      return concat(TxRaw.encode(TxRaw.fromPartial({ bodyBytes })).finish(), tx);
    },
    expected: SDK.txDecode,
  },
  {
    name: "a padded varint in the body",
    tx: (h, from, to) => {
      const raw = TxRaw.decode(h.tx(from, sendMessage(from, to, 1n)));
      return TxRaw.encode({ ...raw, bodyBytes: concat(raw.bodyBytes, Uint8Array.of(0x18, 0x80, 0x00)) }).finish();
    },
    expected: SDK.txDecode,
  },
  {
    name: "an unknown field in the auth info",
    tx: (h, from, to) => {
      const raw = TxRaw.decode(h.tx(from, sendMessage(from, to, 1n)));
      return TxRaw.encode({ ...raw, authInfoBytes: concat(raw.authInfoBytes, Uint8Array.of(0x7a, 0x00)) }).finish();
    },
    expected: SDK.txDecode,
  },
  {
    name: "an unknown field in a message",
    tx: (h, from, to) =>
      altered(h.tx(from, sendMessage(from, to, 1n)), ({ body }) => {
        body.messages[0]!.value = concat(body.messages[0]!.value, Uint8Array.of(0x7a, 0x00));
      }),
    expected: SDK.txDecode,
  },
  {
    name: "a message of a type nobody handles",
    tx: (h, from, to) =>
      altered(h.tx(from, sendMessage(from, to, 1n)), ({ body }) => {
        body.messages[0]!.typeUrl = "/cosmos.bank.v1beta1.MsgBurn";
      }),
    expected: SDK.txDecode,
  },
  { name: "no message", tx: (h, from) => h.tx(from, []), expected: SDK.invalidRequest },
  {
    name: "a memo that is too long",
    tx: (h, from, to) => h.tx(from, sendMessage(from, to, 1n), { memo: "x".repeat(257) }),
    expected: SDK.memoTooLarge,
  },
  {
    name: "more bytes than a transaction may have",
    tx: (h, from, to) => h.tx(from, sendMessage(from, to, 1n), { memo: "x".repeat(1024 * 1024) }),
    expected: SDK.txTooLarge,
  },
  {
    name: "a critical extension option",
    tx: (h, from, to) =>
      altered(h.tx(from, sendMessage(from, to, 1n)), ({ body }) => {
        body.extensionOptions = [{ typeUrl: "/x", value: new Uint8Array() }];
      }),
    expected: SDK.unknownExtensionOptions,
  },
  {
    name: "an unordered transaction",
    tx: (h, from, to) =>
      altered(h.tx(from, sendMessage(from, to, 1n)), ({ body }) => {
        body.unordered = true;
      }),
    expected: SDK.invalidRequest,
  },
  {
    name: "no signature",
    tx: (h, from, to) =>
      TxRaw.encode({ ...TxRaw.decode(h.tx(from, sendMessage(from, to, 1n))), signatures: [] }).finish(),
    expected: SDK.noSignatures,
  },
  {
    name: "too many signatures",
    tx: (h, from, to) => {
      const raw = TxRaw.decode(h.tx(from, sendMessage(from, to, 1n)));
      return TxRaw.encode({ ...raw, signatures: Array.from({ length: 8 }, () => raw.signatures[0]!) }).finish();
    },
    expected: SDK.tooManySignatures,
  },
  {
    name: "a signature more than signers",
    tx: (h, from, to) => h.tx([from, to], sendMessage(from, to, 1n)),
    expected: SDK.unauthorized,
  },
  {
    name: "a signer that is no address",
    tx: (h, from, to) => h.tx(from, sendMessage({ address: "nobody" }, to, 1n)),
    expected: SDK.invalidAddress,
  },
  {
    name: "an address in capitals",
    tx: (h, from, to) => h.tx(from, sendMessage({ address: from.address.toUpperCase() }, to, 1n)),
    expected: SDK.invalidAddress,
  },
  {
    name: "a past timeout height",
    tx: (h, from, to) => h.tx(from, sendMessage(from, to, 1n), { timeoutHeight: 1n }),
    expected: SDK.txTimeoutHeight,
  },
  {
    name: "more gas than a block has",
    tx: (h, from, to) => h.tx(from, sendMessage(from, to, 1n), { gasLimit: BigInt(MAX_BLOCK_GAS) + 1n }),
    expected: SDK.invalidRequest,
  },
  {
    name: "too little gas for its bytes",
    tx: (h, from, to) => h.tx(from, sendMessage(from, to, 1n), { gasLimit: 100n, fee: 1_000n }),
    expected: SDK.outOfGas,
  },
  {
    name: "too small a fee",
    tx: (h, from, to) => h.tx(from, sendMessage(from, to, 1n), { gasLimit: 1_000_001n, fee: 25_000n }),
    expected: SDK.insufficientFee,
  },
  {
    name: "a fee in another coin",
    tx: (h, from, to) =>
      altered(h.tx(from, sendMessage(from, to, 1n)), ({ authInfo }) => {
        authInfo.fee!.amount = [{ denom: "uatom", amount: "100000000" }];
      }),
    expected: SDK.insufficientFee,
  },
  {
    name: "a fee granter",
    tx: (h, from, to) =>
      altered(h.tx(from, sendMessage(from, to, 1n)), ({ authInfo }) => {
        authInfo.fee!.granter = to.address;
      }),
    expected: SDK.invalidRequest,
  },
  {
    name: "a fee that somebody else shall pay",
    tx: (h, from, to) =>
      altered(h.tx(from, sendMessage(from, to, 1n)), ({ authInfo }) => {
        authInfo.fee!.payer = to.address;
      }),
    expected: SDK.invalidRequest,
  },
  {
    name: "a fee beyond the balance",
    tx: (h, from, to) => h.tx(from, sendMessage(from, to, 1n), { fee: 1_000_000_001n }),
    expected: SDK.insufficientFunds,
  },
  {
    name: "an account that does not exist",
    tx: (h, _, to) => h.tx(stranger, sendMessage(stranger, to, 1n)),
    expected: SDK.unknownAddress,
  },
  {
    name: "somebody else's public key",
    tx: (h, from, to) =>
      altered(h.tx(from, sendMessage(from, to, 1n)), ({ authInfo }) => {
        authInfo.signerInfos[0]!.publicKey!.value = PubKey.encode({ key: to.publicKey }).finish();
      }),
    expected: SDK.invalidPubKey,
  },
  {
    name: "a public key of another kind",
    tx: (h, from, to) =>
      altered(h.tx(from, sendMessage(from, to, 1n)), ({ authInfo }) => {
        authInfo.signerInfos[0]!.publicKey!.typeUrl = "/cosmos.crypto.ed25519.PubKey";
      }),
    expected: SDK.invalidPubKey,
  },
  {
    name: "no public key from an account whose key is not known",
    tx: (h, from, to) =>
      altered(h.tx(from, sendMessage(from, to, 1n)), ({ authInfo }) => {
        delete authInfo.signerInfos[0]!.publicKey;
      }),
    expected: SDK.invalidPubKey,
  },
  {
    name: "a sequence ahead",
    tx: (h, from, to) => h.tx(from, sendMessage(from, to, 1n), { sequence: 1n }),
    expected: SDK.invalidSequence,
  },
  {
    name: "another chain's signature",
    tx: (_, from, to) =>
      signTx([from], [sendMessage(from, to, 1n)], {
        chainId: "karat-other",
        accounts: [{ accountNumber: 1n, sequence: 0n }],
        fee: [{ denom: "ukarat", amount: "5000000" }],
        gasLimit: 1_000_000n,
      }),
    expected: SDK.unauthorized,
  },
  {
    name: "a changed memo",
    tx: (h, from, to) =>
      altered(h.tx(from, sendMessage(from, to, 1n)), ({ body }) => {
        body.memo = "more";
      }),
    expected: SDK.unauthorized,
  },
  {
    name: "a sign mode that is not served",
    tx: (h, from, to) =>
      altered(h.tx(from, sendMessage(from, to, 1n)), ({ authInfo }) => {
        authInfo.signerInfos[0]!.modeInfo!.single!.mode = SignMode.SIGN_MODE_TEXTUAL;
      }),
    expected: SDK.unauthorized,
  },
  {
    name: "the high-S twin of the signature",
    tx: (h, from, to) => {
      const raw = TxRaw.decode(h.tx(from, sendMessage(from, to, 1n)));
      return TxRaw.encode({ ...raw, signatures: [highS(raw.signatures[0]!)] }).finish();
    },
    expected: SDK.unauthorized,
  },
  {
    name: "a signature of another key",
    tx: (h, from, to) => {
      const raw = TxRaw.decode(h.tx(from, sendMessage(from, to, 1n)));
      return TxRaw.encode({ ...raw, signatures: [signDigest(new Uint8Array(32), to.privateKey)] }).finish();
    },
    expected: SDK.unauthorized,
  },
  {
    name: "coins of a denom nobody has",
    tx: (h, from, to) => h.tx(from, sendMessage(from, to, 1n, "uatom")),
    expected: SDK.insufficientFunds,
  },
  { name: "nothing to send", tx: (h, from, to) => h.tx(from, sendMessage(from, to, 0n)), expected: SDK.invalidCoins },
];

describe("before the messages", () => {
  const harness = newHarness();
  const [from, to] = harness.clients as [Signer, Signer];

  test.each(cases)("$name is refused", ({ tx, expected }) => {
    const before = harness.app.info().lastBlockHeight;
    const bytes = tx(harness, from, to);
    expect(kindOf(harness.app.checkTx({ tx: bytes, type: 0 }))).toEqual(kindOf(expected));
    const { results } = harness.deliver([bytes]);
    expect(results.map(kindOf)).toEqual([kindOf(expected)]);
    expect(harness.account(from.address)?.sequence).toBe(0n);
    expect(harness.app.info().lastBlockHeight).toBe(before + 1n);
  });
});

describe("a failing message", () => {
  test("costs its fee and its sequence and leaves nothing else", () => {
    const harness = newHarness();
    const [from, to] = harness.clients as [Signer, Signer];
    const { balance } = coreBank(harness);
    const messages = [sendMessage(from, to, 7n), sendMessage(from, to, 10_000_000_000n)];
    const { results } = harness.deliver([harness.tx(from, messages, { gasLimit: 1_000_000n, fee: 30_000n })]);
    expect(results.map(kindOf)).toEqual([kindOf(SDK.insufficientFunds)]);
    expect(results[0]!.log).toContain("message index: 1");
    expect(results[0]!.events.map(({ type }) => type)).toEqual([
      "coin_spent",
      "coin_received",
      "transfer",
      "tx",
      "tx",
      "tx",
    ]);
    expect(balance(to.address)).toBe(1_000_000_000n);
    expect(balance(from.address)).toBe(1_000_000_000n - 30_000n);
    expect(balance(moduleAddress("community"))).toBe(30_000n);
    expect(harness.account(from.address)?.sequence).toBe(1n);
  });

  test("that runs out of gas says so and is rolled back", () => {
    const harness = newHarness();
    const [from, to] = harness.clients as [Signer, Signer];
    harness.execute(from, sendMessage(from, to, 1n));
    const { gasUsed } = harness.execute(from, sendMessage(from, to, 1n));
    const options = { gasLimit: gasUsed - 1_000n, fee: 30_000n };
    const { results } = harness.deliver([harness.tx(from, sendMessage(from, to, 1n), options)]);
    expect(results.map(kindOf)).toEqual([kindOf(SDK.outOfGas)]);
    expect(harness.account(from.address)?.sequence).toBe(3n);
    expect(coreBank(harness).balance(to.address)).toBe(1_000_000_002n);
  });

  test("never pays into a module's account", () => {
    const harness = newHarness();
    const [from] = harness.clients as [Signer];
    const { results } = harness.deliver([
      harness.tx(from, sendMessage(from, { address: moduleAddress("deposit") }, 1n)),
    ]);
    expect(results.map(kindOf)).toEqual([kindOf(SDK.unauthorized)]);
  });
});

describe("the check state", () => {
  test("takes several sequences in a row and forgets them with the next block", () => {
    const harness = newHarness();
    const [from, to] = harness.clients as [Signer, Signer];
    const txs = [0, 1, 2].map(() => harness.tx(from, sendMessage(from, to, 1n)));
    for (const tx of txs) expect(kindOf(harness.app.checkTx({ tx, type: 0 }))).toEqual(ok);
    expect(kindOf(harness.app.checkTx({ tx: txs[0]!, type: 0 }))).toEqual(kindOf(SDK.invalidSequence));
    expect(harness.account(from.address)?.sequence).toBe(0n);

    harness.deliver([txs[0]!]);
    const recheck = (tx: Uint8Array) => kindOf(harness.app.checkTx({ tx, type: 1 }));
    expect(txs.map(recheck)).toEqual([kindOf(SDK.invalidSequence), ok, ok]);
  });

  test("names both sequences, as CosmJS users know it", () => {
    const harness = newHarness();
    const [from, to] = harness.clients as [Signer, Signer];
    const { log } = harness.app.checkTx({ tx: harness.tx(from, sendMessage(from, to, 1n), { sequence: 4n }), type: 0 });
    expect(log).toMatch(/^account sequence mismatch, expected 0, got 4/);
  });
});

describe("a handler that fails unexpectedly", () => {
  const broken = () => {
    const composition = coreComposition();
    const bank = composition.modules[1]!;
    const handler = bank.messages!["/cosmos.bank.v1beta1.MsgSend"]!;
    const fail = () => {
      throw new TypeError("a bug");
    };
    const modules = (changed: object) => [
      composition.modules[0]!,
      { ...bank, messages: { "/cosmos.bank.v1beta1.MsgSend": { ...handler, ...changed } } },
    ];
    return {
      before: { ...composition, modules: modules({ checkStateless: fail }) },
      inside: { ...composition, modules: modules({ execute: fail }) },
    };
  };

  test("before the block costs the transaction, not the node", () => {
    const harness = new AppHarness({ clients: 2, composition: broken().before });
    const [from, to] = harness.clients as [Signer, Signer];
    const tx = harness.tx(from, sendMessage(from, to, 1n));
    expect(kindOf(harness.app.checkTx({ tx, type: 0 }))).toEqual(kindOf(SDK.logic));
  });

  test("inside the block stops the node", () => {
    const harness = new AppHarness({ clients: 2, composition: broken().inside });
    const [from, to] = harness.clients as [Signer, Signer];
    const tx = harness.tx(from, sendMessage(from, to, 1n));
    expect(kindOf(harness.app.checkTx({ tx, type: 0 }))).toEqual(ok);
    expect(() => harness.deliver([tx])).toThrow(TypeError);
  });
});

test("a transaction is accepted once", () => {
  const harness = newHarness();
  const [from, to] = harness.clients as [Signer, Signer];
  const tx = harness.tx(from, sendMessage(from, to, 1n));
  expect(harness.deliver([tx, tx]).results.map(kindOf)).toEqual([ok, kindOf(SDK.invalidSequence)]);
  expect(harness.deliver([tx]).results.map(kindOf)).toEqual([kindOf(SDK.invalidSequence)]);
});

test("several signers sign in order of appearance, and the first pays", () => {
  const harness = newHarness();
  const [a, b] = harness.clients as [Signer, Signer];
  const messages = [sendMessage(a, b, 1n), sendMessage(b, a, 3n)];
  const tx = harness.tx([a, b], messages, { gasLimit: 1_000_000n, fee: 30_000n });
  expect(harness.deliver([tx]).results.map(kindOf)).toEqual([ok]);
  expect(coreBank(harness).balance(a.address)).toBe(1_000_000_000n - 30_000n + 2n);
  expect(harness.account(b.address)?.sequence).toBe(1n);
  expect(kindOf(harness.app.checkTx({ tx: harness.tx([b, a], messages), type: 0 }))).toEqual(kindOf(SDK.invalidPubKey));
});

function coreBank(harness: AppHarness) {
  const bank = coreComposition().modules[1] as unknown as { balance(ctx: unknown, address: string): bigint };
  return { balance: (address: string) => harness.read((ctx) => bank.balance(ctx, address)) };
}
