import { inference } from "@karat/proto";
import { beforeEach, describe, expect, test } from "vitest";
import { memoryBank } from "../testing/bank.ts";
import { DEPOSITED, TestNetwork } from "../testing/network.ts";
import { deliveryOf, type Request } from "../testing/records.ts";
import { DELIVERY_BLOCKS, endBlock } from "./endBlock.ts";

const Status = inference.InferenceStatus;
/** Blocks after which a transfer agent has said what it delivered. */
const LATER = Number(DELIVERY_BLOCKS);
/** 10 prompt tokens at 2 and 20 output tokens at 5. */
const COST = 120n;

let network = new TestNetwork();
beforeEach(() => {
  network = new TestNetwork();
});

const statusOf = (request: Request) => network.record(request)?.status;

describe("settlement", () => {
  /** Found valid by its validator. */
  const valid = (): Request => {
    const request = network.drawn();
    expect(network.judge(request.id, network.dutiesOf(request)[0]!)).toBe(0);
    return request;
  };

  test("waits for the end of the epoch, then pays out of the client's deposit", () => {
    const request = valid();
    network.deliver([deliveryOf(network, request)]);
    network.block(3);
    expect(statusOf(request)).toBe(Status.FINISHED);
    network.epochs.next();
    network.block(LATER);
    expect(network.record(request)).toMatchObject({ status: Status.SETTLED, locked: 0n, cost: COST });
    expect(network.deposit()).toMatchObject({ available: DEPOSITED - COST, locked: 0n });
    const { executor } = request;
    expect(network.rewards.distributed).toEqual([
      { executor, transferAgent: network.transferAgent, amount: COST, epoch: 3n },
    ]);
    expect(network.chain.eventsOf("inference_settled")).toMatchObject([{ executor, cost: "120" }]);
    expect(memoryBank.sum(network.chain.ctx)).toBe(memoryBank.supply(network.chain.ctx));
  });

  test("pays no transfer agent that recorded no delivery", () => {
    valid();
    network.epochs.next();
    network.block(LATER);
    expect(network.rewards.distributed).toMatchObject([{ transferAgent: undefined }]);
  });

  test("of what was decided late joins the pool of the epoch before the present one", () => {
    valid();
    network.epochs.next();
    network.epochs.next();
    network.block(LATER);
    expect(network.rewards.distributed).toMatchObject([{ epoch: 4n }]);
  });

  test("gives the transfer agent time to say that it delivered, also at the end of an epoch", () => {
    const request = valid();
    network.epochs.next();
    network.block(5);
    expect(statusOf(request)).toBe(Status.FINISHED);
    expect(network.agree([request])).toEqual([0]);
    network.block(LATER);
    expect(network.rewards.distributed).toMatchObject([{ transferAgent: network.transferAgent }]);
  });

  test("waits for a check that is still open", () => {
    const request = network.drawn();
    network.epochs.next();
    network.block(2);
    expect(statusOf(request)).toBe(Status.FINISHED);
  });

  test("and deadlines go on in the next block where there are more than one block's budget", () => {
    const requests = Array.from({ length: 7 }, () => network.request());
    expect(network.start(requests.map(({ record }) => record))).toEqual(requests.map(() => 0));
    network.block(5);
    const missed = () => requests.filter((request) => statusOf(request) === Status.MISSED);
    endBlock(network, network.chain.ctx, 5);
    expect(missed()).toHaveLength(5);
    endBlock(network, network.chain.ctx, 5);
    expect(missed()).toHaveLength(7);
  });

  test("leaves a record that is forgotten after the retention, not before", () => {
    network.setParams({ retentionBlocks: 400n });
    const request = valid();
    network.epochs.next();
    network.block(400);
    expect(network.record(request)).toBeDefined();
    network.block(2 + LATER);
    expect(network.record(request)).toBeUndefined();
    expect(network.check(request)).toBeUndefined();
  });
});
