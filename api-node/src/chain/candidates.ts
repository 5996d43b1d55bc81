import { KaratError } from "@karat/common";
import type { epoch, participant } from "@karat/proto";
import { drawWeight, executorOrder } from "@karat/rules";
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
  const snapshot = view.epochAt(input.anchorHeight);
  if (!snapshot) {
    throw new KaratError("stale_anchor", "The epoch of the anchor height is not known here.", {
      anchor_height: input.anchorHeight,
    });
  }
  return snapshot.members.flatMap((member) => {
    if (!activeAt(member, input.anchorHeight)) return [];
    const offer = member.offers.find(({ model }) => model === input.model);
    const fits = offer && offer.inputPrice <= input.maxInputPrice && offer.outputPrice <= input.maxOutputPrice;
    return fits ? [{ member, offer }] : [];
  });
}

/** The drawn order of executors for one inference, as the chain will recompute it. Empty when nobody offers the model. */
export function drawExecutors(
  view: ChainView,
  input: DrawInput,
  beacon: Uint8Array,
  inferenceId: Uint8Array,
): Candidate[] {
  const all = candidates(view, input);
  const byOperator = new Map(all.map((candidate) => [candidate.member.operator, candidate]));
  const entrants = all.map(({ member }) => ({ id: member.operator, weight: drawWeight(member, input.anchorHeight) }));
  return executorOrder(beacon, inferenceId, entrants).map((operator) => byOperator.get(operator)!);
}

/** Offers for a model that can be drawn now; the ids of all such models are what `/v1/models` lists. */
export function activeOffers(view: ChainView): Map<string, Candidate[]> {
  const height = view.height();
  const offers = new Map<string, Candidate[]>();
  for (const member of view.epochAt(height)?.members ?? []) {
    if (!activeAt(member, height) || member.weight === 0n) continue;
    for (const offer of member.offers) {
      const known = offers.get(offer.model);
      if (known) known.push({ member, offer });
      else offers.set(offer.model, [{ member, offer }]);
    }
  }
  return offers;
}

const activeAt = (member: epoch.Member, height: bigint): boolean =>
  member.excludedHeight === 0n || height < member.excludedHeight;
