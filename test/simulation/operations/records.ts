/** Batches of records that the API nodes of transfer agents and executors send. */
import { sha256, signDigest, toHex, utf8 } from "@karat/common";
import { encodeSigned, inference, type OpenBatch, sign, statementOf, typeUrls } from "@karat/proto";
import { compacted, openFinish } from "../../../chain/src/modules/testing/numbers.ts";
import type { Order, Plan, World } from "../world.ts";
import { makeOrder, ORDER_FLAWS } from "./orders.ts";
import { continuedOrder } from "./parts.ts";

const { FinishReason } = sign;
const NONE = new Uint8Array();
const FLAWED = 12;
const MAX_SENT = 50;
/** Token ids that ride along; orders that nobody can pay ask for far more. */
const MAX_CARRIED = 1_000;

type Kinds = Omit<OpenBatch, "sender" | "operator">;

function batch(world: World, operator: string, kinds: Kinds): Plan | undefined {
  if (Object.values(kinds).every((records) => records.length === 0)) return undefined;
  const signer = world.nodeOf(operator);
  const value = compacted(world.ctx, { sender: signer.address, operator, ...kinds });
  const plan: Plan = { signer, messages: [{ typeUrl: typeUrls.records, value }], free: true };
  world.sent.push(plan);
  if (world.sent.length > MAX_SENT) world.sent.shift();
  return plan;
}

/** New orders of one transfer agent; sometimes it is an executor that records what concerns it, once more. */
export function startOrders(world: World): Plan | undefined {
  const { random } = world;
  const agents = world.participants();
  if (agents.length === 0) return undefined;
  const agent = random.pick(agents).operator;
  const records: inference.StartRecord[] = [];
  const count = random.between(1, 6);
  for (let i = 0; i < count; i++) {
    const flaw = random.percent(FLAWED) ? random.pick(ORDER_FLAWS) : undefined;
    const order = makeOrder(world, agent, flaw);
    if (order === undefined) continue;
    world.orders.set(toHex(order.id), order);
    // Most are left to their executors, who record them themselves.
    if (random.percent(40)) records.push(order.record);
  }
  const made = world.ordersWhere((order) => order.executor === agent && order.state !== "finished");
  records.push(
    ...random
      .some(made, 60)
      .slice(-6)
      .map(({ record }) => record),
  );
  if (random.percent(4))
    records.push(
      ...world
        .ordersWhere(() => true)
        .slice(-1)
        .map((order) => conflicting(order)),
    );
  // Somebody that has no part in them.
  const sender = random.percent(4) ? random.pick(agents).operator : agent;
  return batch(world, sender, { starts: records });
}

/** The same authorization with another receipt. */
function conflicting({ record }: Order): inference.StartRecord {
  try {
    const { domain: _, ...receipt } = sign.Receipt.decode(record.receipt);
    return { ...record, receipt: encodeSigned("receipt", { ...receipt, promptTokens: receipt.promptTokens + 1 }) };
  } catch {
    return record;
  }
}

export function continueOrders(world: World): Plan | undefined {
  const continued = continuedOrder(world);
  return continued && batch(world, continued.operator, continued.kinds);
}

export function finishOrders(world: World): Plan | undefined {
  const { random } = world;
  const open = world.ordersWhere(({ state }) => state === "started");
  if (open.length === 0) return undefined;
  const { executor } = random.pick(open);
  const { temper } = world.operatorOf(executor);
  const own = open.filter((order) => order.executor === executor);
  const records = random.some(own, temper === "lazy" ? 30 : 85).map((order) => finishOf(world, order));
  // What is over already, and what is somebody else's.
  if (random.percent(10)) {
    const other = random.pick(world.ordersWhere(() => true));
    records.push(finishOf(world, { ...other, finish: undefined } as unknown as Order));
  }
  return batch(world, executor, { finishes: records.map((record) => openFinish(world.chainId, record)) });
}

function finishOf(world: World, order: Order): inference.FinishRecord {
  const { random } = world;
  const { temper } = world.operatorOf(order.executor) ?? { temper: "honest" };
  if (random.percent(4)) return errorOf(order, "engine stopped");
  if (order.finish === undefined) {
    order.bad = temper === "cheat" ? random.percent(60) : random.percent(1);
    order.finish = contentOf(world, order);
  }
  return random.percent(FLAWED / 2) ? flawedFinish(world, order, order.finish) : order.finish;
}

function errorOf({ id, executor }: Order, error: string): inference.FinishRecord {
  return inference.FinishRecord.fromPartial({ inferenceId: id, executor, error });
}

function contentOf(world: World, order: Order): inference.FinishRecord {
  const { random } = world;
  const cancelled = random.percent(8);
  const completionTokens = cancelled
    ? random.between(0, order.maxOutputTokens)
    : random.percent(30)
      ? order.maxOutputTokens
      : random.between(1, order.maxOutputTokens);
  const output = utf8(`answer ${toHex(order.id)}`);
  const carried = order.full && completionTokens <= MAX_CARRIED && random.percent(70);
  const finishReason = cancelled
    ? FinishReason.CANCELLED
    : completionTokens === order.maxOutputTokens
      ? FinishReason.LENGTH
      : FinishReason.STOP;
  return {
    inferenceId: order.id,
    outputHash: sha256(output),
    artifactRoot: sha256(utf8(`root ${toHex(order.id)}`)),
    promptHash: sha256(utf8(`prompt ${toHex(order.id)}`)),
    promptTokens: random.percent(80) ? order.promptTokens : 0,
    completionTokens,
    finishReason,
    output: carried ? output : NONE,
    tokenIds: carried ? new Array<number>(completionTokens).fill(7) : [],
    artifact: carried ? random.bytes(20) : NONE,
    prefixTokenIds: carried ? [...(order.prefix ?? [])] : [],
    error: "",
    executor: order.executor,
    receiptPromptTokens: order.promptTokens,
  };
}

function flawedFinish(world: World, order: Order, content: inference.FinishRecord): inference.FinishRecord {
  return world.random.pick<() => inference.FinishRecord>([
    () => ({ ...content, output: utf8("x"), promptHash: NONE }),
    () => ({ ...content, promptTokens: order.promptTokens + 1 }),
    () => ({ ...content, completionTokens: order.maxOutputTokens + 1 }),
    () => ({ ...content, finishReason: 9 as never }),
    () => ({ ...content, output: utf8("another text"), tokenIds: [1], artifact: NONE }),
    () => ({ ...content, artifact: new Uint8Array(3_000) }),
    () => ({ ...content, prefixTokenIds: [9], output: utf8("x"), tokenIds: [1] }),
    () => ({ ...content, inferenceId: sha256(order.id) }),
    () => ({ ...content, artifactRoot: sha256(content.artifactRoot) }),
    () => errorOf(order, "x".repeat(300)),
  ])();
}

export function deliverOrders(world: World): Plan | undefined {
  const { random } = world;
  const open = world.ordersWhere(({ state, delivered }) => state !== "made" && delivered === undefined);
  if (open.length === 0) return undefined;
  const { transferAgent } = random.pick(open);
  const own = open.filter((order) => order.transferAgent === transferAgent);
  // Most deliveries say no more than that they agree with the finish; some before there is one, which is refused.
  const agreeing = random.some(own, 40);
  const records = random
    .some(own, 60)
    .filter((order) => !agreeing.includes(order))
    .map((order) => deliveryOf(world, order));
  const [delivered, deliveredInPart] = [true, false].map((whole) =>
    agreeing.filter(({ id }) => (id[0]! % 8 !== 0) === whole).map(({ id }) => id),
  );
  if (random.percent(10)) {
    const other = random.pick(world.ordersWhere(() => true));
    records.push(deliveryOf(world, other));
  }
  const agents = world.participants();
  const sender = random.percent(4) && agents.length > 0 ? random.pick(agents).operator : transferAgent;
  return batch(world, sender, { delivered: delivered!, deliveredInPart: deliveredInPart!, deliveries: records });
}

function deliveryOf(world: World, order: Order): inference.DeliveryRecord {
  const { random } = world;
  order.delivered ??= newDelivery(world, order);
  const delivery = order.delivered;
  if (!random.percent(FLAWED / 2)) return delivery;
  return random.pick<() => inference.DeliveryRecord>([
    () => ({ ...delivery, root: random.bytes(5) }),
    () => ({ ...delivery, response: random.bytes(30), responseSignature: random.bytes(64) }),
    () => ({ ...delivery, responseSignature: random.bytes(64), response: responseOf(world, order, sha256(NONE)) }),
    () => ({ ...delivery, root: sha256(order.id), response: NONE, responseSignature: NONE }),
    () => ({ ...delivery, inferenceId: sha256(order.id) }),
    () => ({ ...delivery, response: responseOf(world, order, sha256(NONE), "karat-other") }),
  ])();
}

function newDelivery(world: World, order: Order): inference.DeliveryRecord {
  const { random } = world;
  // Before the finish the agent knows what the finish is going to say.
  order.finish ??= contentOf(world, order);
  const { temper } = world.operatorOf(order.executor);
  order.contradicted = random.percent(temper === "cheat" ? 12 : 1);
  // An agent that lies has no signature of the executor for it.
  const lies = !order.contradicted && random.percent(3);
  const outputHash = order.contradicted || lies ? sha256(order.finish.outputHash) : order.finish.outputHash;
  const response = lies || random.percent(20) ? NONE : responseOf(world, order, outputHash);
  return {
    inferenceId: order.id,
    root: response.length === 0 ? rootOf(world, order, outputHash) : NONE,
    complete: random.percent(90),
    response,
    responseSignature:
      response.length === 0 ? NONE : signDigest(sha256(response), world.nodeOf(order.executor).privateKey),
  };
}

function responseOf(world: World, order: Order, outputHash: Uint8Array, chainId = world.chainId): Uint8Array {
  return statementOf(chainId, { ...order.finish!, inferenceId: order.id, outputHash });
}

const rootOf = (world: World, order: Order, outputHash: Uint8Array): Uint8Array =>
  sha256(responseOf(world, order, outputHash));

/** An API node that has lost track of what it sent. */
export function sendAgain(world: World): Plan | undefined {
  return world.sent.length === 0 ? undefined : world.random.pick(world.sent);
}
