/** Parts of answers: another drawn executor goes on where one broke off. */
import { sha256, signDigest, toHex } from "@karat/common";
import { encodeSigned, type inference, type OpenBatch, partNameOf, sign } from "@karat/proto";
import { executorOrder, tokensHash } from "@karat/rules";
import { createEpochKeeper } from "../../../chain/src/modules/epoch/keeper.ts";
import { type Order, SIMULATION_PARAMS, type World } from "../world.ts";

const NONE = new Uint8Array();
const FLAWED = 15;
const epochs = createEpochKeeper();

/** What the transfer agent, or the executor that goes on, records of one order that was continued. */
export function continuedOrder(world: World): { operator: string; kinds: Pick<OpenBatch, "starts"> } | undefined {
  const { random } = world;
  const open = world.ordersWhere(({ state, prefix }) => state !== "made" && prefix === undefined);
  if (open.length === 0) return undefined;
  const order = random.pick(open);
  const part = makePart(world, order);
  if (part === undefined) return undefined;
  world.orders.set(toHex(part.id), part);
  const known = world.participant(part.executor) !== undefined;
  const operator = known && random.percent(50) ? part.executor : order.transferAgent;
  return { operator, kinds: { starts: [part.record] } };
}

function makePart(world: World, order: Order): Order | undefined {
  const { random, chainId, ctx, height } = world;
  const authorization = sign.RequestAuthorization.decode(order.record.authorization);
  const { maxOutputTokens } = authorization;
  const beacon = epochs.beacon(ctx, authorization.anchorHeight);
  if (beacon === undefined) return undefined;
  const drawn = executorOrder(beacon, order.id, epochs.candidates(ctx, authorization));
  const attempt = drawn.findIndex((operator) => operator !== order.executor && random.percent(60));
  const executor = drawn[attempt];
  if (executor === undefined) return undefined;
  const flawed = random.percent(FLAWED);
  const prefix = new Array<number>(
    flawed ? Math.min(maxOutputTokens, 120) : random.between(0, Math.min(maxOutputTokens - 1, 60)),
  ).fill(7);
  const named: inference.Prefix = { tokens: prefix.length, hash: tokensHash(prefix) };
  const id = sha256(partNameOf(chainId, order.id, attempt, named));
  const promptTokens = order.promptTokens + prefix.length;
  const deadlineHeight = height + BigInt(random.between(1, Number(SIMULATION_PARAMS.inferenceDeadline)));
  const receipt = encodeSigned("receipt", {
    chainId,
    inferenceId: id,
    attempt,
    executor,
    promptTokens,
    deadlineHeight,
  });
  const record: inference.StartRecord = {
    ...order.record,
    receipt,
    receiptSignature: signDigest(sha256(receipt), world.nodeOf(executor).privateKey),
    skips: drawn.slice(0, attempt).map(() => ({ reason: "broke:died", busySignature: NONE })),
    prefix: named,
    signature: signDigest(id, world.nodeOf(order.transferAgent).privateKey),
  };
  return {
    ...order,
    id,
    record,
    executor,
    promptTokens,
    prefix,
    maxOutputTokens: Math.max(1, maxOutputTokens - prefix.length),
    made: height,
    state: "made",
    finish: undefined,
    bad: false,
    delivered: undefined,
    contradicted: false,
  };
}
