import { sha256, signDigest, utf8 } from "@karat/common";
import { encodeSigned, type inference, sign } from "@karat/proto";
import { DEFAULT_SAMPLING, executorOrder } from "@karat/rules";
import { createEpochKeeper } from "../../../chain/src/modules/epoch/keeper.ts";
import type { Order, World } from "../world.ts";
import { MODELS, SIMULATION_PARAMS } from "../world.ts";

/** What may be wrong with an order or its receipt; each is refused with a code of its own. */
export const ORDER_FLAWS = [
  "staleAnchor",
  "futureAnchor",
  "otherChain",
  "otherChainReceipt",
  "foreignKey",
  "foreignSignature",
  "unknownTransferAgent",
  "unknownModel",
  "wrongExecutor",
  "skipsMissing",
  "skipsInvented",
  "badBusySignature",
  "foreignReceiptSignature",
  "receiptOfAnother",
  "tooManyPromptTokens",
  "deadlineOver",
  "deadlineFar",
  "requestMissing",
  "requestChanged",
  "noNonce",
  "pricesTooLow",
  "tooExpensive",
] as const;
export type OrderFlaw = (typeof ORDER_FLAWS)[number];

const epochs = createEpochKeeper();
const { RecordingMode } = sign;
const signed = (bytes: Uint8Array, key: { readonly privateKey: Uint8Array }) =>
  signDigest(sha256(bytes), key.privateKey);

/** Signed by a client, with the receipt of the executor that the draw names; undefined where nobody can be drawn. */
export function makeOrder(world: World, transferAgent: string, flaw?: OrderFlaw): Order | undefined {
  const { random, chainId, ctx, height } = world;
  const client = random.pick(world.clients);
  const nonce = utf8(String(world.nonce()));
  const full = random.percent(50);
  const request = utf8(`{"messages":[],"nonce":"${nonce}"}`);
  const age = BigInt(random.between(1, Number(SIMULATION_PARAMS.maxAnchorAge)));
  const youngest = height > age ? height - age : 0n;
  const anchorHeight = flaw === "staleAnchor" ? 1n : flaw === "futureAnchor" ? height : youngest;
  const model = flaw === "unknownModel" ? "gamma" : random.pick(MODELS);
  const maxOutputTokens = flaw === "tooExpensive" ? 4_000_000_000 : random.between(1, 120);
  const low = flaw === "pricesTooLow";
  const maxInputPrice = low ? 0n : BigInt(random.between(3, 8));
  const maxOutputPrice = low ? 0n : BigInt(random.between(5, 12));
  const authorization = encodeSigned("authorization", {
    chainId: flaw === "otherChain" ? "karat-other" : chainId,
    client: client.address,
    key: flaw === "foreignKey" ? world.rich.publicKey : client.publicKey,
    model,
    requestHash: sha256(request),
    maxInputTokens: 100,
    maxOutputTokens,
    maxInputPrice,
    maxOutputPrice,
    sampling: { ...DEFAULT_SAMPLING },
    nonce: flaw === "noNonce" ? new Uint8Array() : nonce,
    anchorHeight,
    transferAgent: flaw === "unknownTransferAgent" ? world.rich.address : transferAgent,
    recording: full ? RecordingMode.FULL : RecordingMode.COMMIT,
  });
  const id = sha256(authorization);
  const beacon = epochs.beacon(ctx, anchorHeight) ?? new Uint8Array(32);
  const candidates = epochs.candidates(ctx, { model, anchorHeight, maxInputPrice, maxOutputPrice });
  const drawn = executorOrder(beacon, id, candidates);
  const usual = flaw === undefined && drawn.length === 0;
  if (usual) return undefined;
  const skipping = random.percent(25) || flaw === "skipsMissing" || flaw === "badBusySignature";
  const attempt = skipping ? Math.min(random.between(1, 2), Math.max(0, drawn.length - 1)) : 0;
  const named = drawn[attempt] ?? transferAgent;
  const executor = flaw === "wrongExecutor" ? (drawn.find((other) => other !== named) ?? world.rich.address) : named;
  const known = world.participant(executor) !== undefined;
  const promptTokens = flaw === "tooManyPromptTokens" ? 101 : random.between(0, 100);
  const deadlineHeight =
    flaw === "deadlineOver"
      ? height - 1n
      : flaw === "deadlineFar"
        ? height + SIMULATION_PARAMS.inferenceDeadline + 1n
        : height + BigInt(random.between(1, Number(SIMULATION_PARAMS.inferenceDeadline)));
  const receipt = encodeSigned("receipt", {
    chainId: flaw === "otherChainReceipt" ? "karat-other" : chainId,
    inferenceId: flaw === "receiptOfAnother" ? sha256(id) : id,
    attempt,
    executor,
    promptTokens,
    deadlineHeight,
  });
  const skips = drawn.slice(0, attempt).map((passed, at): inference.Skip => {
    const busy = random.percent(50) || flaw === "badBusySignature";
    const statement = encodeSigned("busy", { chainId, inferenceId: id, attempt: at, executor: passed });
    const signer = flaw === "badBusySignature" || !busy ? world.rich : world.nodeOf(passed);
    return { reason: busy ? "busy" : "timeout", busySignature: busy ? signed(statement, signer) : NONE };
  });
  const record: inference.StartRecord = {
    authorization,
    signature: signed(authorization, flaw === "foreignSignature" ? world.rich : client),
    receipt,
    receiptSignature: signed(
      receipt,
      flaw === "foreignReceiptSignature" || !known ? world.rich : world.nodeOf(executor),
    ),
    skips:
      flaw === "skipsMissing"
        ? []
        : flaw === "skipsInvented"
          ? [...skips, { reason: "timeout", busySignature: NONE }]
          : skips,
    request: requestOf(flaw, full, request),
    prefix: undefined,
  };
  return {
    id,
    record,
    transferAgent,
    executor,
    promptTokens,
    maxOutputTokens,
    full,
    made: height,
    state: "made",
    bad: false,
    contradicted: false,
  };
}

const NONE = new Uint8Array();

function requestOf(flaw: OrderFlaw | undefined, full: boolean, request: Uint8Array): Uint8Array {
  if (flaw === "requestMissing") return full ? NONE : request;
  if (flaw === "requestChanged") return utf8("{}");
  return full ? request : NONE;
}
