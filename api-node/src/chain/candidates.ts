import { KaratError } from "@karat/common";
import type { epoch, participant } from "@karat/proto";
import { DrawTable, drawWeight } from "@karat/rules";
import type { ChainView } from "./view.ts";

export interface Candidate {
  readonly member: epoch.Member;
  readonly offer: participant.Offer;
}

export interface DrawInput {
  readonly model: string;
  readonly anchorHeight: bigint;
  /** ukarat per token. */
  readonly maxInputPrice: bigint;
  readonly maxOutputPrice: bigint;
}

/** Who may be drawn: members of the anchor's epoch, not excluded at the anchor, with an offer for the model within the prices. */
export function candidates(view: ChainView, input: DrawInput): Candidate[] {
  const snapshot = snapshotAt(view, input.anchorHeight);
  return snapshot.members.flatMap((member) => {
    if (!activeAt(member, input.anchorHeight)) return [];
    const offer = member.offers.find(({ model }) => model === input.model);
    const fits = offer && offer.inputPrice <= input.maxInputPrice && offer.outputPrice <= input.maxOutputPrice;
    return fits ? [{ member, offer }] : [];
  });
}

function snapshotAt(view: ChainView, anchorHeight: bigint): epoch.Epoch {
  const snapshot = view.epochAt(anchorHeight);
  if (snapshot) return snapshot;
  throw new KaratError("stale_anchor", "The epoch of the anchor height is not known here.", {
    anchor_height: anchorHeight,
  });
}

/**
 * The drawn order of executors for one inference, as the chain will recompute it; its first `limit`. Empty when nobody offers the
 * model.
 */
export function drawExecutors(
  view: ChainView,
  input: DrawInput,
  beacon: Uint8Array,
  inferenceId: Uint8Array,
  limit?: number,
): Candidate[] {
  const { table, byOperator } = drawOf(view, input);
  return table.executorOrder(beacon, inferenceId, limit).map((operator) => byOperator.get(operator)!);
}

interface Draw {
  readonly table: DrawTable;
  readonly byOperator: ReadonlyMap<string, Candidate>;
}

/** Orders of one anchor at the same prices have the same candidates. By snapshot: one that is read anew is another. */
const draws = new WeakMap<epoch.Epoch, Map<string, Draw>>();
const MAX_DRAWS = 64;

function drawOf(view: ChainView, input: DrawInput): Draw {
  const { model, anchorHeight, maxInputPrice, maxOutputPrice } = input;
  const snapshot = snapshotAt(view, anchorHeight);
  const known = draws.get(snapshot) ?? new Map<string, Draw>();
  draws.set(snapshot, known);
  const key = `${anchorHeight}/${maxInputPrice}/${maxOutputPrice}/${model}`;
  const same = known.get(key);
  if (same) return same;
  const all = candidates(view, input);
  const byOperator = new Map(all.map((candidate) => [candidate.member.operator, candidate]));
  const table = new DrawTable(
    all.map(({ member }) => ({ id: member.operator, weight: drawWeight(member, anchorHeight) })),
  );
  if (known.size === MAX_DRAWS) known.clear();
  known.set(key, { table, byOperator });
  return { table, byOperator };
}

/** Offers for a model that can be drawn now; the ids of all such models are what `/v1/models` lists. */
export function activeOffers(view: ChainView): ReadonlyMap<string, readonly Candidate[]> {
  const height = view.height();
  const snapshot = view.epochAt(height);
  if (!snapshot) return new Map();
  const known = offersAt.get(snapshot);
  if (known?.height === height) return known.offers;
  const offers = new Map<string, Candidate[]>();
  for (const member of snapshot.members) {
    if (!activeAt(member, height) || member.weight === 0n) continue;
    for (const offer of member.offers) {
      const others = offers.get(offer.model);
      if (others) others.push({ member, offer });
      else offers.set(offer.model, [{ member, offer }]);
    }
  }
  offersAt.set(snapshot, { height, offers });
  return offers;
}

const offersAt = new WeakMap<epoch.Epoch, { readonly height: bigint; readonly offers: Map<string, Candidate[]> }>();

const activeAt = (member: epoch.Member, height: bigint): boolean =>
  member.excludedHeight === 0n || height < member.excludedHeight;
