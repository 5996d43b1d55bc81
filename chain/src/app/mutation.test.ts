import { inference, participant, protocolTypeUrls, typeUrls, verification } from "@karat/proto";
import { Coin } from "cosmjs-types/cosmos/base/v1beta1/coin";
import fc from "fast-check";
import { expect, test } from "vitest";
import { LOCALNET_PARAMS } from "../modules/params/index.ts";
import { composeModules } from "./compose.ts";
import { SDK } from "./errors.ts";
import { AppHarness, coreComposition, type Signer, sendMessage, testParticipant } from "./testing/index.ts";

test("no change to a signed transaction's bytes is accepted, and none stops the node", () => {
  const harness = new AppHarness({ clients: 2, composition: coreComposition() });
  const [from, to] = harness.clients as [Signer, Signer];
  const tx = harness.tx(from, sendMessage(from, to, 1n), { memo: "memo" });
  const edit = fc.record({
    at: fc.nat(tx.length),
    remove: fc.nat(3),
    insert: fc.uint8Array({ maxLength: 4 }),
  });
  fc.assert(
    fc.property(fc.array(edit, { minLength: 1, maxLength: 3 }), (edits) => {
      let bytes = tx;
      for (const { at, remove, insert } of edits) {
        bytes = Uint8Array.from([...bytes.subarray(0, at), ...insert, ...bytes.subarray(at + remove)]);
      }
      fc.pre(Buffer.compare(bytes, tx) !== 0);
      const checked = harness.app.checkTx({ tx: bytes, type: 0 });
      expect(checked.code).not.toBe(0);
      expect(checked.code).not.toBe(SDK.logic.code);
      expect(harness.app.finalizeBlock(harness.finalizeRequest([bytes])).txResults[0]!.code).toBe(checked.code);
    }),
    { numRuns: 300 },
  );
  expect(harness.deliver([tx]).results[0]!.code).toBe(0);
});

/** What the repeated fields of messages hold. */
const elements: Record<string, { decode(bytes: Uint8Array): unknown }> = {
  [`${typeUrls.records}/terms`]: inference.Terms,
  [`${typeUrls.records}/starts`]: inference.StartEntry,
  [`${typeUrls.records}/finishes`]: inference.FinishEntry,
  [`${typeUrls.records}/deliveries`]: inference.DeliveryRecord,
  [`${typeUrls.commitChecks}/commitments`]: verification.CheckCommitment,
  [`${typeUrls.submitVerdicts}/verdicts`]: verification.VerdictRecord,
  [`${typeUrls.registerParticipant}/offers`]: participant.Offer,
  [`${typeUrls.updateParticipant}/offers`]: participant.Offer,
  "/cosmos.bank.v1beta1.MsgSend/amount": Coin,
};

/** A value with the shape of `example`, its leaves random. */
function like(example: unknown, path: string): fc.Arbitrary<unknown> {
  if (typeof example === "bigint") return fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
  if (typeof example === "number") return fc.oneof(fc.nat(5), fc.nat(2 ** 31 - 1));
  if (typeof example === "string") {
    const odd = fc.constantFrom("", "karat1", "ukarat", "1", "a\0b", "x".repeat(3_000), "https://a.example");
    return fc.oneof(odd, fc.string());
  }
  if (typeof example === "boolean") return fc.boolean();
  if (example instanceof Uint8Array)
    return fc.oneof(fc.uint8Array({ maxLength: 100 }), fc.uint8Array({ minLength: 32, maxLength: 33 }));
  if (Array.isArray(example)) {
    const element = elements[path]?.decode(new Uint8Array());
    return element === undefined ? fc.constant([]) : fc.array(like(element, path), { maxLength: 3 });
  }
  const entries = Object.entries(example ?? {}).map(([name, value]) => [name, like(value, `${path}/${name}`)]);
  return fc.record(Object.fromEntries(entries));
}

test("no content of any message stops the node", () => {
  const { address } = testParticipant(0).operator;
  const accounts = [{ address, amount: 1_000_000_000n }];
  const harness = new AppHarness({ participants: 3, clients: 1, accounts, params: LOCALNET_PARAMS });
  const handlers = composeModules().modules.flatMap(({ messages }) => Object.entries(messages ?? {}));
  expect(handlers.length).toBeGreaterThanOrEqual(Object.keys(typeUrls).length);
  const { node, operator, validator } = harness.participants[0]!;
  const client = harness.clients[0]!;
  const signers = [node, operator, validator, client];
  const message = fc.constantFrom(...handlers).chain(([typeUrl, { codec }]) => {
    const example = codec.decode(new Uint8Array()) as Record<string, unknown>;
    return fc.record({
      typeUrl: fc.constant(typeUrl),
      value: like(example, typeUrl) as fc.Arbitrary<Record<string, unknown>>,
      signer: fc.constantFrom(...signers),
    });
  });
  const seen = new Set<string>();
  const fields = ["sender", "operator", "client", "fromAddress"];
  fc.assert(
    fc.property(message, ({ typeUrl, value, signer }) => {
      const signed = Object.fromEntries(
        Object.entries(value).map(([name, content]) => [name, fields.includes(name) ? signer.address : content]),
      );
      let tx: Uint8Array;
      try {
        tx = harness.tx(
          signer,
          { typeUrl, value: signed },
          { free: protocolTypeUrls.has(typeUrl), gasLimit: 1_000_000n },
        );
      } catch {
        return fc.pre(false); // not encodable at all
      }
      const { code, codespace } = harness.deliver([tx]).results[0]!;
      seen.add(`${typeUrl} ${codespace} ${code}`);
    }),
    { numRuns: 500 },
  );
  // Not all of them fail at the door.
  expect(seen.size).toBeGreaterThan(15);
  expect(harness.app.invariants()).toEqual([]);
}, 180_000);
