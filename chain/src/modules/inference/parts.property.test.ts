/** Whatever its parties do, what an answer in parts costs stays within what its client signed for. */
import { inference, refOf, sign } from "@karat/proto";
import fc from "fast-check";
import { expect, test } from "vitest";
import { DEPOSITED, TestNetwork } from "../testing/network.ts";
import { partOf } from "../testing/parts.ts";
import { finishOf, type Request } from "../testing/records.ts";
import { DELIVERY_BLOCKS } from "./endBlock.ts";

const Status = inference.InferenceStatus;
const { FinishReason } = sign;

const price = fc.bigInt({ min: 0n, max: 9n });
const step = fc.oneof(
  fc.record({ kind: fc.constant("part"), attempt: fc.nat(5), prefix: fc.nat(21), prompt: fc.nat(12) }),
  fc.record({
    kind: fc.constant("finish"),
    of: fc.nat(3),
    tokens: fc.nat(20),
    read: fc.nat(30),
    whole: fc.boolean(),
  }),
  fc.record({ kind: fc.constant("error"), of: fc.nat(3) }),
  fc.record({ kind: fc.constant("invalid"), of: fc.nat(3) }),
  fc.record({ kind: fc.constant("blocks"), count: fc.integer({ min: 1, max: 4 }) }),
);
type Step = typeof step extends fc.Arbitrary<infer S> ? S : never;
const MOST_OUTPUT = 20;

test("the client never pays more than its authorization would have cost, and no place of the output twice", () => {
  fc.assert(
    fc.property(
      fc.array(fc.record({ input: price, output: price }), { minLength: 6, maxLength: 6 }),
      fc.record({ maxInputTokens: fc.integer({ min: 5, max: 20 }), spare: fc.bigInt({ min: 0n, max: 3n }) }),
      fc.array(step, { maxLength: 14 }),
      (prices, { maxInputTokens, spare }, steps) => {
        const network = new TestNetwork();
        const offers = prices.map(({ input, output }) => [
          { model: "tiny", inputPrice: input, outputPrice: output, capacity: 1n },
        ]);
        network.epochs.members_ = network.epochs.members_.map((member, i) => ({ ...member, offers: offers[i]! }));
        const maxInputPrice = prices.reduce((most, { input }) => (input > most ? input : most), 0n) + spare;
        const maxOutputPrice = prices.reduce((most, { output }) => (output > most ? output : most), 0n);
        const authorization = { maxInputTokens, maxInputPrice, maxOutputPrice, maxOutputTokens: MOST_OUTPUT };
        const order = network.request({ authorization, receipt: { promptTokens: 5 } });
        expect(network.start([order.record])).toEqual([0]);
        const most = BigInt(maxInputTokens) * maxInputPrice + BigInt(MOST_OUTPUT) * maxOutputPrice;
        const parts: Request[] = [order];
        for (const each of steps) {
          take(network, order, parts, each);
          network.assertInvariants();
          expect(DEPOSITED - network.deposit().available).toBeLessThanOrEqual(most);
        }
        settle(network, parts);
        expect(network.deposit().locked).toBe(0n);
        const paid = parts.map((part) => network.record(part)!).filter(({ status }) => status === Status.SETTLED);
        expect(DEPOSITED - network.deposit().available).toBe(paid.reduce((sum, { cost }) => sum + cost, 0n));
        const written = parts.map((part) => network.record(part)!);
        for (const [i, record] of written.entries()) {
          // What was found false has cost nothing, whatever its record says.
          if (record.status !== Status.SETTLED) continue;
          const { part, cost, completionTokens, outputPrice, promptTokens, inputPrice } = record;
          const until = written[i + 1]?.part?.prefixTokens ?? MOST_OUTPUT;
          const tokens = Math.min(completionTokens, until - (part?.prefixTokens ?? 0));
          expect(cost).toBeLessThanOrEqual(BigInt(promptTokens) * inputPrice + BigInt(tokens) * outputPrice);
          // The output is always paid in full; only the reading may not be.
          if (completionTokens > 0) expect(cost).toBeGreaterThanOrEqual(BigInt(tokens) * outputPrice);
        }
      },
    ),
    { numRuns: 40 },
  );
});

function take(network: TestNetwork, order: Request, parts: Request[], step: Step): void {
  if (step.kind === "blocks") {
    network.block(step.count);
    return;
  }
  if (step.kind === "part") {
    const { attempt, prefix: length, prompt } = step;
    const prefix = new Array<number>(length).fill(7);
    const part = partOf(network, order, { attempt, prefix, receipt: { promptTokens: prompt + length } });
    if (network.start([part.record])[0] === 0 && parts.every(({ id }) => refOf(id) !== refOf(part.id)))
      parts.push(part);
    return;
  }
  const part = parts[step.of];
  if (part === undefined) return;
  const finish = (change: Partial<inference.FinishRecord>): void => {
    network.finish([finishOf(part, change)], part.executor);
  };
  if (step.kind === "invalid") {
    network.inferences.invalidate(network.chain.ctx, part.id);
    return;
  }
  if (step.kind === "error") {
    finish({ error: "engine stopped" });
    return;
  }
  const { receiptPromptTokens } = network.record(part)!;
  const { tokens: completionTokens, read, whole } = step;
  finish({
    completionTokens,
    finishReason: whole ? FinishReason.STOP : FinishReason.CANCELLED,
    promptTokens: Math.min(read, receiptPromptTokens),
    receiptPromptTokens,
  });
}

/** Finds valid what is finished, misses what is not, and pays. */
function settle(network: TestNetwork, parts: readonly Request[]): void {
  for (let round = 0; round < 3; round++) {
    network.block(3);
    for (const part of parts) {
      for (const validator of network.dutiesOf(part)) network.judge(part.id, validator);
    }
  }
  network.epochs.next();
  network.block(Number(DELIVERY_BLOCKS) + 1);
}
