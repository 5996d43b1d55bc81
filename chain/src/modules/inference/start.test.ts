import { sha256, signDigest, utf8 } from "@karat/common";
import { encodeSigned, inference, refOf, sign } from "@karat/proto";
import { DEFAULT_SAMPLING } from "@karat/rules";
import { beforeEach, describe, expect, test } from "vitest";
import { ChainError, SDK } from "../../app/errors.ts";
import { errorOf } from "../testing/context.ts";
import { keyNamed, type TestKey } from "../testing/identities.ts";
import { DEPOSITED, MAX_OUTPUT, PRICE, type RequestOptions, TestNetwork } from "../testing/network.ts";
import { deliveryOf, PROMPT_TOKENS } from "../testing/records.ts";
import { ERRORS } from "./errors.ts";
import { records, STORE, startedWith } from "./keys.ts";
import { MAX_ENTRIES } from "./msgs/records.ts";
import { MAX_PER_DEADLINE } from "./msgs/start.ts";

const MOST = BigInt(PROMPT_TOKENS) * PRICE.input + BigInt(MAX_OUTPUT) * PRICE.output;
const MSG = "/karat.inference.v1.MsgRecords";
/** What comes of values that were not signed: another id, for which somebody else is drawn, or a signature that does not fit. */
const ALTERED: number[] = [ERRORS.executorNotDrawn.code, ERRORS.invalidSignature.code];

let network = new TestNetwork();
beforeEach(() => {
  network = new TestNetwork();
});

const codeOf = (options: RequestOptions, sender?: string) =>
  network.start([network.request(options).record], sender)[0];

describe("a start", () => {
  test("locks the most it can cost, at the executor's offer, and is told", () => {
    const request = network.request();
    expect(network.start([request.record])).toEqual([0]);
    expect(network.record(request)).toMatchObject({
      client: network.client.address,
      executor: request.executor,
      transferAgent: network.transferAgent,
      status: inference.InferenceStatus.STARTED,
      inputPrice: PRICE.input,
      outputPrice: PRICE.output,
      locked: MOST,
      epoch: network.epochs.number,
    });
    expect(network.deposit()).toMatchObject({ available: DEPOSITED - MOST, locked: MOST });
    expect(network.chain.eventsOf("inference_start")).toMatchObject([{ executor: request.executor, attempt: "0" }]);
    expect(network.rewards.calls).toEqual([`assigned ${request.executor} 3`]);
    network.assertInvariants();
  });

  test("may come from the executor, and a second one with the same content changes nothing", () => {
    const request = network.request();
    expect(network.start([request.record], request.executor)).toEqual([0]);
    expect(network.start([request.record, request.record])).toEqual([0, 0]);
    expect(network.deposit().locked).toBe(MOST);
    expect(network.rewards.calls).toHaveLength(1);
  });

  test("names each place that was passed over, with the busy answer where there was one", () => {
    const request = network.request({ attempt: 2 });
    const [first, second] = request.record.skips;
    const { skips: _, ...rest } = request.record;
    expect(network.start([{ ...rest, skips: [first!] }])).toEqual([ERRORS.invalidSkips.code]);
    expect(network.start([{ ...rest, skips: [first!, second!, second!] }])).toEqual([ERRORS.invalidSkips.code]);
    const forged = { ...first!, busySignature: signDigest(sha256(utf8("busy")), network.client.privateKey) };
    expect(network.start([{ ...rest, skips: [forged, second!] }])).toEqual([ERRORS.invalidSkips.code]);
    const signed = { ...first!, busySignature: busySignature(request.id, 0) };
    expect(network.start([{ ...rest, skips: [signed, second!] }])).toEqual([0]);
  });

  function busySignature(inferenceId: Uint8Array, attempt: number): Uint8Array {
    const anchor = network.chain.height - 1n;
    const executor = network.drawOrder(inferenceId, anchor)[attempt]!;
    const busy = encodeSigned("busy", { chainId: network.chain.chainId, inferenceId, attempt, executor });
    return signDigest(sha256(busy), network.nodeKey(executor).privateKey);
  }

  test("of recording mode commit carries no bytes", () => {
    const recording = sign.RecordingMode.COMMIT;
    expect(codeOf({ authorization: { recording } })).toBe(0);
    expect(ALTERED).toContain(codeOf({ authorization: { recording }, record: { request: utf8("{}") } }));
  });

  test("that is refused leaves its neighbours alone", () => {
    const [good, other] = [network.request(), network.request()];
    const bad = network.request({ signer: keyNamed("somebody") });
    expect(network.start([good.record, bad.record, other.record])).toEqual([0, ERRORS.invalidSignature.code, 0]);
    expect(network.record(bad)).toBeUndefined();
    expect(network.deposit().locked).toBe(2n * MOST);
    expect(network.chain.eventsOf("inference_start")).toHaveLength(2);
    network.assertInvariants();
  });
});

describe("is refused", () => {
  const anchor = () => network.chain.height;
  const cases: [string, () => RequestOptions, { code: number }][] = [
    [
      "a request hash of 31 bytes",
      () => auth({ requestHash: new Uint8Array(31), recording: sign.RecordingMode.COMMIT }),
      ERRORS.malformedAuthorization,
    ],
    ["no nonce", () => auth({ nonce: new Uint8Array() }), ERRORS.malformedAuthorization],
    ["a nonce of 33 bytes", () => auth({ nonce: new Uint8Array(33) }), ERRORS.malformedAuthorization],
    ["no output", () => auth({ maxOutputTokens: 0 }), ERRORS.malformedAuthorization],
    ["impossible sampling", () => auth({ sampling: { ...DEFAULT_SAMPLING, topK: 0 } }), ERRORS.malformedAuthorization],
    ["no participant as transfer agent", () => auth({ transferAgent: "nobody" }), ERRORS.unknownTransferAgent],
    ["another chain's receipt", () => byBob({ chainId: "karat-other" }), ERRORS.invalidReceiptSignature],
    ["an anchor at the present height", () => auth({ anchorHeight: anchor() }), ERRORS.anchorOutOfRange],
    ["an anchor in the future", () => auth({ anchorHeight: anchor() + 1n }), ERRORS.anchorOutOfRange],
    ["an anchor that is too old", () => auth({ anchorHeight: anchor() - 31n }), ERRORS.anchorOutOfRange],
    ["nobody as client", () => auth({ client: keyNamed("nobody").address }), ERRORS.unknownClient],
    ["a signature by somebody else", () => ({ signer: keyNamed("thief") }), ERRORS.invalidSignature],
    ["a short signature", () => ({ record: { signature: new Uint8Array(63) } }), ERRORS.invalidSignature],
    ["an unknown model", () => auth({ model: "huge" }), ERRORS.unknownModel],
    ["prices below every offer", () => auth({ maxOutputPrice: 4n }), ERRORS.executorNotDrawn],
    ["a place beyond the candidates", () => ({ attempt: 6 }), ERRORS.executorNotDrawn],
    ["a receipt for another id", () => byBob({ inferenceId: new Uint8Array(32) }), ERRORS.invalidReceiptSignature],
    ["more prompt than authorized", () => ({ receipt: { promptTokens: 65 } }), ERRORS.receiptMismatch],
    ["a receipt by another key", () => byBob({}, keyNamed("thief")), ERRORS.invalidReceiptSignature],
    ["a deadline that is over", () => ({ receipt: { deadlineHeight: 49n } }), ERRORS.deadlineOutOfRange],
    ["a deadline too far off", () => ({ receipt: { deadlineHeight: 111n } }), ERRORS.deadlineOutOfRange],
  ];
  const auth = (authorization: RequestOptions["authorization"] & object): RequestOptions => ({ authorization });
  /** By an executor that is not the transfer agent, so that its receipt has to be signed. */
  const byBob = (receipt: RequestOptions["receipt"] & object, receiptSigner?: TestKey): RequestOptions => ({
    executor: network.operators[1]!,
    receipt,
    ...(receiptSigner && { receiptSigner }),
  });

  test.each(cases)("%s", (_, options, { code }) => {
    expect(codeOf(options())).toBe(code);
    expect(network.deposit().locked).toBe(0n);
    expect(network.rewards.calls).toEqual([]);
  });

  test.each<[string, RequestOptions]>([
    ["another chain's order", { authorization: { chainId: "karat-other" } }],
    ["no sampling", { authorization: { sampling: undefined } }],
    ["no recording mode", { authorization: { recording: 0 } }],
    ["another account's key", { authorization: { key: keyNamed("thief").publicKey } }],
    ["other bytes than were hashed", { record: { request: utf8("{}") } }],
  ])("%s: what the chain puts together is not what the client signed", (_, options) => {
    expect(ALTERED).toContain(codeOf(options));
    expect(network.deposit().locked).toBe(0n);
  });

  test("anything that client and executor did not sign, whichever field of the record it is in", () => {
    const { record } = network.request({ executor: network.operators[1]! });
    const batch = network.batch({ starts: [record] }, network.transferAgent);
    const [entry] = batch.starts as [inference.StartEntry];
    const [terms] = batch.terms as [inference.Terms];
    const entries: Partial<inference.StartEntry>[] = [
      { signature: entry.receiptSignature },
      { request: utf8("{}") },
      { nonce: Uint8Array.of(9) },
      { client: entry.client + 1n },
      { key: keyNamed("thief").publicKey },
      { terms: 1 },
      { maxInputTokens: 63 },
      { anchorAge: 1 },
      { transferAgent: 2 },
      { executor: 1 },
      { executor: 3 },
      { attempt: 1 },
      { promptTokens: 9 },
      { deadlineAfter: entry.deadlineAfter + 1 },
      { receiptSignature: entry.signature },
      { receiptSignature: new Uint8Array() },
      { skips: [{ reason: "slow", busySignature: new Uint8Array() }] },
      { requestHash: sha256(record.request) },
    ];
    const agreed: Partial<inference.Terms>[] = [
      { model: 2 },
      { maxOutputTokens: 99 },
      { maxInputPrice: 3n },
      { maxOutputPrice: 6n },
      { sampling: { ...DEFAULT_SAMPLING, topK: 63 } },
    ];
    const altered = [
      ...entries.map((change) => ({ ...batch, starts: [{ ...entry, ...change }] })),
      ...agreed.map((change) => ({ ...batch, terms: [{ ...terms, ...change }] })),
      { ...batch, baseHeight: batch.baseHeight + 1n },
    ];
    for (const message of altered) expect(network.send(message)[0]).not.toBe(0);
    expect(network.chain.eventsOf("inference_start")).toEqual([]);
    expect(network.send(batch)).toEqual([0]);
  });

  test("a transfer agent that is not registered", () => {
    const transferAgent = keyNamed("nobody").address;
    const { record, executor } = network.request({ authorization: { transferAgent } });
    expect(network.start([record], executor)).toEqual([ERRORS.unknownTransferAgent.code]);
  });

  test("a record by somebody else than the executor without its signed receipt", () => {
    const { record, executor } = network.request();
    const another = network.operators.find((o) => o !== executor && o !== network.transferAgent)!;
    const unsigned = { ...record, receiptSignature: new Uint8Array(64) };
    expect(network.start([unsigned], another)).toEqual([ERRORS.invalidReceiptSignature.code]);
    expect(network.start([record], another)).toEqual([0]);
  });

  test("what the deposit does not cover, also when part of it is on its way out", () => {
    const { deposits, chain, client } = network;
    const amount = DEPOSITED - MOST + 1n;
    chain.deliver(deposits, "/karat.deposit.v1.MsgRequestRefund", { client: client.address, amount });
    expect(codeOf({})).toBe(ERRORS.insufficientDeposit.code);
    network.assertInvariants();
  });

  test("a cost beyond 64 bits", () => {
    const dear = (price: bigint) => ({ model: "tiny", inputPrice: price, outputPrice: price, capacity: 1n });
    network.epochs.members_ = network.epochs.members_.map((m) => ({ ...m, offers: [dear(1n << 60n)] }));
    const options = { authorization: { maxInputPrice: 1n << 60n, maxOutputPrice: 1n << 60n } };
    expect(codeOf(options)).toBe(ERRORS.amountTooLarge.code);
  });

  test("a request that is too long to ride along", () => {
    network.setParams({ maxInlineBytes: 4 });
    expect(codeOf({})).toBe(ERRORS.invalidPayload.code);
  });

  test("a batch that is empty, too large, or by no node", () => {
    const { chain, inferences } = network;
    const batch = network.batch({ starts: [network.request().record] }, network.transferAgent);
    const [entry] = batch.starts as [inference.StartEntry];
    const refused = (change: Partial<inference.MsgRecords>) => chain.refusal(inferences, MSG, { ...batch, ...change });
    expect(refused({ starts: [], terms: [] })).toEqual(ERRORS.batchSize);
    expect(refused({ starts: new Array(MAX_ENTRIES).fill(entry), delivered: [1n] })).toEqual(ERRORS.batchSize);
    expect(refused({ terms: [...batch.terms, ...batch.terms] })).toEqual(ERRORS.batchSize);
    expect(refused({ sender: network.client.address })).toEqual(ERRORS.unknownSender);
    expect(refused({ sender: "karat1x" })).toEqual(SDK.invalidAddress);
  });
});

describe("holes that peers had", () => {
  test("a transfer agent cannot choose the executor", () => {
    const { operators } = network;
    for (const executor of operators) {
      const { record, executor: drawn } = network.request();
      if (executor === drawn) continue;
      const chosen = network.request({ receipt: { executor } });
      if (network.drawOrder(chosen.id, network.chain.height - 1n)[0] === executor) continue;
      expect(network.start([chosen.record])).toEqual([ERRORS.executorNotDrawn.code]);
      expect(network.start([record])).toEqual([0]);
    }
  });

  test("nor pass over the one that was drawn without naming it", () => {
    const { record } = network.request({ attempt: 1 });
    expect(network.start([{ ...record, skips: [] }])).toEqual([ERRORS.invalidSkips.code]);
  });

  test("nor manufacture a miss by holding a start back until its deadline", () => {
    const { record } = network.request();
    network.block(6);
    expect(network.start([record])).toEqual([ERRORS.deadlineOutOfRange.code]);
    expect(network.chain.eventsOf("inference_missed")).toEqual([]);
  });

  test("a deadline that very many have is refused: the next one is free", () => {
    const { ctx, height } = network.chain;
    startedWith.set(ctx.store("inference"), height + 9n, MAX_PER_DEADLINE - 1n);
    const [last, beyond, later] = [9n, 9n, 10n].map((after) =>
      network.request({ receipt: { deadlineHeight: height + after } }),
    );
    expect(network.start([last!.record, beyond!.record, later!.record])).toEqual([
      0,
      ERRORS.deadlineOutOfRange.code,
      0,
    ]);
    network.block(10);
    expect(startedWith.has(network.chain.ctx.store("inference"), height + 9n)).toBe(false);
  });

  test("an id is accepted once, also after its record was forgotten", () => {
    network.setParams({ retentionBlocks: 500n });
    const { record, id } = network.request({ receipt: { deadlineHeight: 51n } });
    expect(network.start([record])).toEqual([0]);
    network.block(3);
    expect(network.record({ id })?.status).toBe(inference.InferenceStatus.MISSED);
    expect(network.start([record])).toEqual([0]);
    expect(network.deposit()).toMatchObject({ available: DEPOSITED, locked: 0n });
    network.block(500);
    expect(network.record({ id })).toBeUndefined();
    expect(network.start([record])).toEqual([ERRORS.anchorOutOfRange.code]);
  });

  test("a malleated signature is no signature and makes no second inference", () => {
    const { record, id } = network.request();
    const order = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n;
    const s = BigInt(`0x${Buffer.from(record.signature.subarray(32)).toString("hex")}`);
    const high = Buffer.from((order - s).toString(16).padStart(64, "0"), "hex");
    const signature = Uint8Array.of(...record.signature.subarray(0, 32), ...high);
    expect(network.start([{ ...record, signature }])).toEqual([ERRORS.invalidSignature.code]);
    expect(network.start([record])).toEqual([0]);
    expect(network.start([{ ...record, signature }])).toEqual([0]);
    expect(network.record({ id })?.locked).toBe(MOST);
    expect(network.deposit().locked).toBe(MOST);
  });

  test("two executors cannot both be paid for one id", () => {
    const first = network.request();
    const operator = network.drawOrder(first.id, network.chain.height - 1n)[1]!;
    const receipt = encodeSigned("receipt", {
      chainId: network.chain.chainId,
      inferenceId: first.id,
      attempt: 1,
      executor: operator,
      promptTokens: PROMPT_TOKENS,
      deadlineHeight: network.chain.height + 5n,
    });
    const second = {
      ...first.record,
      receipt,
      receiptSignature: signDigest(sha256(receipt), network.nodeKey(operator).privateKey),
      skips: [{ reason: "slow", busySignature: new Uint8Array() }],
    };
    expect(network.start([first.record, second])).toEqual([0, ERRORS.alreadyStarted.code]);
  });

  test("a replaced node key signs no more", () => {
    const executor = network.operators[1]!;
    const old = network.nodeKey(executor);
    network.chain.deliver(network.participants, "/karat.participant.v1.MsgUpdateParticipant", {
      operator: executor,
      nodeKey: keyNamed("fresh").publicKey,
      validatorAddress: "",
      url: "",
      offers: [],
    });
    expect(codeOf({ executor, receiptSigner: old })).toBe(ERRORS.invalidReceiptSignature.code);
    expect(codeOf({ executor, receiptSigner: keyNamed("fresh") })).toBe(0);
  });
});

test("out of gas stops the transaction, not one record", () => {
  const { chain, inferences } = network;
  const message = network.batch({ starts: [network.request().record] }, network.transferAgent);
  const consume = (): never => {
    throw new ChainError(SDK.outOfGas, "limit");
  };
  const ctx = { ...chain.ctx, gas: { limit: 0n, used: 0n, consume } };
  expect(errorOf(() => inferences.messages![MSG]!.execute(ctx, message as never))).toEqual(SDK.outOfGas);
});

describe("what need not ride", () => {
  test("the executor's signature under its receipt, where the executor itself records the start", () => {
    const executor = network.operators[1]!;
    const { record } = network.request({ executor });
    const unsigned = { ...record, receiptSignature: new Uint8Array() };
    expect(network.start([unsigned])).toEqual([ERRORS.invalidReceiptSignature.code]);
    expect(network.start([unsigned], executor)).toEqual([0]);
  });

  test("the client's key, once the chain has it: until then it rides, and from then on it is known", () => {
    const { chain, accounts, client } = network;
    accounts.set(chain.ctx, { ...accounts.get(chain.ctx, client.address)!, publicKey: undefined });
    const [first, second] = [network.request().record, network.request().record];
    const batch = network.batch({ starts: [first] }, network.transferAgent);
    const [entry] = batch.starts as [inference.StartEntry];
    expect(entry.key).toEqual(client.publicKey);
    expect(network.send({ ...batch, starts: [{ ...entry, key: new Uint8Array() }] })).toEqual([
      ERRORS.unauthorizedKey.code,
    ]);
    expect(network.send(batch)).toEqual([0]);
    const next = network.batch({ starts: [second] }, network.transferAgent);
    expect(next.starts[0]!.key).toHaveLength(0);
    expect(network.send(next)).toEqual([0]);
  });

  test("terms that several starts share, and sampling parameters that are the defaults", () => {
    const sampling = { ...DEFAULT_SAMPLING, temperatureMicros: 500_000 };
    const requests = [{}, { authorization: { sampling } }, {}].map((options) => network.request(options));
    const batch = network.batch({ starts: requests.map(({ record }) => record) }, network.transferAgent);
    expect(batch.terms.map((terms) => terms.sampling)).toEqual([undefined, sampling]);
    expect(network.send(batch)).toEqual([0, 0, 0]);
    expect(network.record(requests[1]!)?.sampling).toEqual(sampling);
  });

  test("most of the id: a second inference with its first 8 bytes is refused", () => {
    const { chain } = network;
    const request = network.request();
    network.start([request.record]);
    const record = network.record(request)!;
    const id = Uint8Array.of(...request.id.subarray(0, 8), ...new Uint8Array(24));
    records.set(chain.ctx.store(STORE), refOf(id), { ...record, id });
    expect(network.start([request.record])).toEqual([ERRORS.refTaken.code]);
    expect(network.record(request)).toBeUndefined();
    expect(network.deliver([deliveryOf(network, request)])).toEqual([ERRORS.unknownInference.code]);
  });
});
