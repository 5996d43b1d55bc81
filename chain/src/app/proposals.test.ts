import * as abci from "cosmjs-types/tendermint/abci/types";
import { Data } from "cosmjs-types/tendermint/types/types";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { protoSize } from "./proposals.ts";
import { AppHarness, coreComposition, type Signer, sendMessage } from "./testing/index.ts";

const { ACCEPT, REJECT } = abci.ResponseProcessProposal_ProposalStatus;
const MSG_SEND = "/cosmos.bank.v1beta1.MsgSend";

/** client0 and client1 are registered for the protocol lane, with transfers as their records. */
function newHarness(maxBlockGas = 400_000_000n): AppHarness {
  const names = new AppHarness({ clients: 3, composition: coreComposition() }).clients;
  return new AppHarness({
    clients: 3,
    maxBlockGas,
    composition: coreComposition({
      protocolSigners: names.slice(0, 2).map(({ address }) => address),
      protocolTypeUrls: [MSG_SEND],
    }),
  });
}

function prepare(harness: AppHarness, txs: Uint8Array[], maxTxBytes = 1_000_000n): Uint8Array[] {
  const { height, time, nextValidatorsHash, proposerAddress } = harness.finalizeRequest();
  const localLastCommit = { round: 0, votes: [] };
  const base = { height, time, nextValidatorsHash, proposerAddress, misbehavior: [], localLastCommit };
  return harness.app.prepareProposal({ ...base, txs, maxTxBytes }).txs;
}

function accepts(harness: AppHarness, txs: Uint8Array[]): boolean {
  const { decidedLastCommit, ...rest } = harness.finalizeRequest(txs);
  const { status } = harness.app.processProposal({ ...rest, proposedLastCommit: decidedLastCommit });
  expect([ACCEPT, REJECT]).toContain(status);
  return status === ACCEPT;
}

const free = { free: true, gasLimit: 100_000n };
const paid = { gasLimit: 100_000n };

test("bytes are counted as the block encodes them", () => {
  for (const length of [0, 1, 127, 128, 16_383, 16_384]) {
    const tx = new Uint8Array(length);
    expect(protoSize(tx)).toBe(BigInt(Data.encode({ txs: [tx] }).finish().length));
  }
});

describe("the protocol lane", () => {
  test("pays nothing", () => {
    const harness = newHarness();
    const [a, , c] = harness.clients as [Signer, Signer, Signer];
    expect(harness.app.checkTx({ tx: harness.tx(a, sendMessage(a, c, 1n), free), type: 0 }).code).toBe(0);
    expect(harness.app.checkTx({ tx: harness.tx(c, sendMessage(c, a, 1n), free), type: 0 }).code).toBe(13);
  });

  test("gets no more than its share, and what pays gets the rest", () => {
    const harness = newHarness(1_000_000n);
    const [a, b, c] = harness.clients as [Signer, Signer, Signer];
    const records = Array.from({ length: 10 }, () => harness.tx(a, sendMessage(a, b, 1n), free));
    const transfers = Array.from({ length: 10 }, () => harness.tx(c, sendMessage(c, a, 1n), paid));
    const chosen = prepare(harness, [...records, ...transfers]);
    expect(chosen.filter((tx) => records.includes(tx))).toEqual(records.slice(0, 7));
    expect(chosen.filter((tx) => transfers.includes(tx))).toEqual(transfers.slice(0, 3));
    expect(accepts(harness, chosen)).toBe(true);
    expect(accepts(harness, records.slice(0, 7))).toBe(true);
    expect(accepts(harness, records.slice(0, 8))).toBe(false);
  });

  test("is not closed by what pays more and came earlier", () => {
    const harness = newHarness(1_000_000n);
    const [a, b, c] = harness.clients as [Signer, Signer, Signer];
    const transfers = Array.from({ length: 10 }, () => harness.tx(c, sendMessage(c, a, 1n), paid));
    const records = Array.from({ length: 10 }, () => harness.tx(a, sendMessage(a, b, 1n), free));
    const chosen = prepare(harness, [...transfers, ...records]);
    expect(chosen.filter((tx) => records.includes(tx)).length).toBeGreaterThan(0);
    expect(chosen.length).toBe(10);
  });

  test("is not filled by one signer while another one waits", () => {
    const harness = newHarness(1_000_000n);
    const [a, b] = harness.clients as [Signer, Signer];
    const many = Array.from({ length: 10 }, () => harness.tx(a, sendMessage(a, b, 1n), free));
    const few = [harness.tx(b, sendMessage(b, a, 1n), free)];
    const chosen = prepare(harness, [...many, ...few]);
    expect(chosen.filter((tx) => few.includes(tx))).toEqual(few);
    expect(chosen.filter((tx) => many.includes(tx))).toEqual(many.slice(0, 6));
  });

  test("is left by whoever attaches a fee", () => {
    const harness = newHarness(1_000_000n);
    const [a, b] = harness.clients as [Signer, Signer];
    const transfers = Array.from({ length: 10 }, () => harness.tx(a, sendMessage(a, b, 1n), paid));
    expect(prepare(harness, transfers)).toEqual(transfers);
  });
});

describe("a proposal", () => {
  test("takes first what pays most for its gas", () => {
    const harness = newHarness(300_000n);
    const [a, b, c] = harness.clients as [Signer, Signer, Signer];
    const cheap = harness.tx(a, sendMessage(a, b, 1n), { gasLimit: 100_000n, fee: 10_000n });
    const dear = harness.tx(b, sendMessage(b, a, 1n), { gasLimit: 100_000n, fee: 90_000n });
    const middle = [1, 2].map(() => harness.tx(c, sendMessage(c, a, 1n), { gasLimit: 100_000n, fee: 50_000n }));
    const chosen = prepare(harness, [cheap, ...middle, dear]);
    expect(chosen).toEqual([dear, ...middle]);
    expect(accepts(harness, chosen)).toBe(true);
  });

  test("is rejected with a transaction that nobody pays for", () => {
    const harness = newHarness();
    const [a, b, c] = harness.clients as [Signer, Signer, Signer];
    const good = harness.tx(a, sendMessage(a, b, 1n), free);
    expect(accepts(harness, [good])).toBe(true);
    expect(accepts(harness, [good, good])).toBe(false);
    expect(accepts(harness, [Uint8Array.of(1)])).toBe(false);
    expect(accepts(harness, [harness.tx(c, sendMessage(c, a, 1n), free)])).toBe(false);
  });

  test("that was prepared is accepted and executes without a refusal before the messages", () => {
    const tx = fc.record({
      from: fc.nat(2),
      free: fc.boolean(),
      gasLimit: fc.constantFrom(2_000n, 20_000n, 300_000n, 2_000_000n),
      amount: fc.constantFrom(1n, 900_000_000n),
      gap: fc.nat(6),
    });
    fc.assert(
      fc.property(fc.array(tx, { maxLength: 25 }), fc.constantFrom(600n, 2_000n, 100_000n), (list, maxTxBytes) => {
        const harness = newHarness(1_000_000n);
        const mempool = list.map(({ from, gap, amount, ...options }) => {
          const sender = harness.clients[from]!;
          const sequence = gap === 0 ? { sequence: 50n } : {};
          return harness.tx(sender, sendMessage(sender, harness.rich, amount), { ...options, ...sequence });
        });
        const txs = prepare(harness, mempool, maxTxBytes);
        expect(Data.encode({ txs }).finish().length).toBeLessThanOrEqual(Number(maxTxBytes));
        expect(accepts(harness, txs)).toBe(true);
        for (const { code } of harness.deliver(txs).results) expect([0, 5, 11]).toContain(code);
      }),
      { numRuns: 40 },
    );
  });
});
