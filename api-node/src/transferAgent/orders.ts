import { type ApiKey, type Authorization, authorize } from "@karat/client";
import { KaratError } from "@karat/common";
import { requireDimensions } from "@karat/common/openai";
import { sign } from "@karat/proto";
import { samplingOf } from "@karat/rules";
import { activeOffers, type Candidate, drawExecutors } from "../chain/candidates.ts";
import type { Hold, Holds } from "../chain/deposits.ts";
import { type ChainView, spendable } from "../chain/view.ts";
import { lockedCost } from "../executor/checks.ts";
import { embeddingDimensions } from "../executor/embedding.ts";
import type { MlPool } from "../executor/mlPool.ts";
import type { NodeIdentity } from "../identity.ts";
import type { ClientRequest } from "./clientRequest.ts";
import type { DispatchModules } from "./dispatch.ts";
import { tokenBounds } from "./tokenBounds.ts";

export interface OrderModules {
  readonly view: ChainView;
  readonly identity: NodeIdentity;
  readonly ml: MlPool;
  readonly holds: Holds;
  readonly dispatch: Pick<DispatchModules, "maxAttempts">;
  /** Longest prompt this node takes; the model's context bounds it anyway. */
  readonly maxPromptTokens?: number;
}

/** What a client may limit beside the request itself. */
export interface Terms {
  /** ukarat per token; the dearest offer when left out. */
  readonly maxInputPrice?: bigint;
  readonly maxOutputPrice?: bigint;
  /** Ask for hashes only on chain. */
  readonly private?: boolean;
}

export interface Order {
  readonly authorization: Authorization;
  readonly request: ClientRequest;
  /** Of an embedding: components of each vector. */
  readonly dimensions: number | undefined;
  /** Executors in the order in which they are asked. */
  readonly drawn: readonly Candidate[];
  /** What it may cost, held of the deposit. */
  readonly hold: Hold;
  /** Its bounds come from a tokeniser, where there is one. */
  readonly counted: boolean;
}

/** Peers that follow the chain a moment later know the beacon too when the anchor is one block back. */
const ANCHOR_LAG = 1n;
/** Bytes of text, token ids and artifact that one output token takes in a record, at most as a rule. */
const INLINE_BYTES_PER_TOKEN = 16;

/**
 * Turns a request into a signed order and its draw. Throws `model_not_found`, `context_length_exceeded`, `insufficient_deposit` or
 * `chain_unavailable`. The client's key is used here and kept nowhere. `exactly`: the prompt is counted, though it is far from every limit.
 */
export async function placeOrder(
  modules: OrderModules,
  key: ApiKey,
  request: ClientRequest,
  terms: Terms = {},
  exactly = false,
): Promise<Order> {
  const { view, identity, ml, holds } = modules;
  const { model, input } = request.sanitized;
  const offers = activeOffers(view).get(model);
  const declared = view.models().find(({ id }) => id === model);
  if (!offers || !declared) {
    throw new KaratError("model_not_found", `The model ${model} does not exist or nobody offers it now.`, {
      param: "model",
    });
  }
  const dimensions = input && embeddingDimensions(declared, model, input.length);
  if (dimensions !== undefined) requireDimensions(request.vectors?.dimensions, dimensions);
  const maxInputPrice = terms.maxInputPrice ?? largest(offers.map(({ offer }) => offer.inputPrice));
  const maxOutputPrice = terms.maxOutputPrice ?? largest(offers.map(({ offer }) => offer.outputPrice));
  const withinPrices = offers.some(
    ({ offer }) => offer.inputPrice <= maxInputPrice && offer.outputPrice <= maxOutputPrice,
  );
  if (!withinPrices) {
    throw new KaratError("model_not_found", `Nobody offers the model ${model} within these prices now.`, {
      param: terms.maxInputPrice === undefined ? "x-karat-max-output-price" : "x-karat-max-input-price",
    });
  }
  const { maxPromptTokens } = modules;
  const limits = { exactly, ...(maxPromptTokens === undefined ? {} : { maxPromptTokens }) };
  const { bounds, counted } = await tokenBounds(request, ml, declared.contextLength, limits);
  const worst = lockedCost(
    { model, capacity: 0n, inputPrice: maxInputPrice, outputPrice: maxOutputPrice },
    bounds.maxInputTokens,
    bounds.maxOutputTokens,
  );
  const needed = worst + holds.of(key.address);
  const deposit = await view.deposit(key.address, needed);
  // What the bytes might cost is not there; what the tokens cost may be.
  if (!counted && spendable(deposit) < worst + holds.of(key.address)) {
    return await placeOrder(modules, key, request, terms, true);
  }
  const hold = holds.take(key.address, worst, deposit);
  try {
    const height = view.height();
    const anchorHeight = view.beacon(height - ANCHOR_LAG) ? height - ANCHOR_LAG : height;
    const beacon = view.beacon(anchorHeight)!;
    const authorization = authorize({
      chainId: view.chainId,
      privateKey: key.privateKey,
      publicKey: key.publicKey,
      model,
      requestHash: request.hash,
      ...bounds,
      maxInputPrice,
      maxOutputPrice,
      sampling: samplingOf(request.sanitized),
      anchorHeight,
      transferAgent: identity.operator,
      recording: recordingMode(view, request, bounds.maxOutputTokens, terms),
    });
    const drawn = drawExecutors(
      view,
      authorization.message,
      beacon,
      authorization.inferenceId,
      modules.dispatch.maxAttempts,
    );
    return { authorization, request, dimensions, drawn, hold, counted };
  } catch (error) {
    hold.release();
    throw error;
  }
}

function recordingMode(
  view: ChainView,
  request: ClientRequest,
  maxOutputTokens: number,
  terms: Terms,
): sign.RecordingMode {
  const bytes = Buffer.byteLength(request.canonical) + maxOutputTokens * INLINE_BYTES_PER_TOKEN;
  const inline = !terms.private && bytes <= view.params().maxInlineBytes;
  return inline ? sign.RecordingMode.FULL : sign.RecordingMode.COMMIT;
}

const largest = (prices: readonly bigint[]): bigint =>
  prices.reduce((most, price) => (price > most ? price : most), 0n);
