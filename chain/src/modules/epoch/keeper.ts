import type { epoch, participant } from "@karat/proto";
import { compareBytes, drawWeight } from "@karat/rules";
import type { Context, ValidatorUpdate } from "../../app/module.ts";
import { beacons, currentNumber, epochs, STORE, validators } from "./keys.ts";
import { isDrawn, restore, suspend } from "./transition.ts";

type Epoch = epoch.Epoch;

/** A member that may be drawn as executor of a request. */
export interface Candidate {
  /** Operator. */
  readonly id: string;
  readonly weight: bigint;
  readonly offer: participant.Offer;
  /** Signs its receipts. */
  readonly nodeKey: Uint8Array;
}

export interface CandidateFilter {
  readonly model: string;
  readonly anchorHeight: bigint;
  readonly maxInputPrice: bigint;
  readonly maxOutputPrice: bigint;
}

/** Epochs that are handed out are shared. */
export interface EpochKeeper {
  /** Throws where genesis has not run. */
  current(ctx: Context): Epoch;
  byNumber(ctx: Context, number: bigint): Epoch | undefined;
  /** The epoch that covers a height; undefined for heights forgotten or to come. */
  at(ctx: Context, height: bigint): Epoch | undefined;
  beacon(ctx: Context, height: bigint): Uint8Array | undefined;
  /** Members of the epoch of the anchor, not excluded at the anchor, whose offer is within the prices; by operator. */
  candidates(ctx: Context, filter: CandidateFilter): Candidate[];
  /** Members of the running epoch that draws of this height may name. */
  members(ctx: Context): epoch.Member[];
  /** From the next height on, no draw of the running epoch names the operator. */
  exclude(ctx: Context, operator: string): void;
  /** From the next height on, draws of executors take the operator with less weight; until it is restored. */
  suspend(ctx: Context, operator: string): void;
  restore(ctx: Context, operator: string): void;
  /** Takes over a changed node key or URL into the running epoch and the one before. */
  refresh(ctx: Context, participant: participant.Participant): void;
  markSettled(ctx: Context, number: bigint): void;
  /** The consensus set in force, in order of keys. */
  validators(ctx: Context): ValidatorUpdate[];
  /** Records the set that consensus really starts with, so that later changes refer to it. */
  setValidators(ctx: Context, set: readonly ValidatorUpdate[]): void;
}

export function createEpochKeeper(): EpochKeeper {
  const read = (ctx: Context, number: bigint): Epoch | undefined => epochs.get(ctx.store(STORE), number);

  function change(ctx: Context, number: bigint, edit: (member: epoch.Member) => epoch.Member): void {
    const before = read(ctx, number);
    if (before === undefined) return;
    const members = before.members.map(edit);
    if (members.some((member, i) => member !== before.members[i])) {
      epochs.set(ctx.store(STORE), number, { ...before, members });
    }
  }

  const keeper: EpochKeeper = {
    current(ctx) {
      const number = currentNumber.get(ctx.store(STORE));
      const current = number === undefined ? undefined : read(ctx, number);
      if (current === undefined) throw new Error("the epoch is read before genesis has set it");
      return current;
    },

    byNumber: read,

    at(ctx, height) {
      let candidate: Epoch | undefined = keeper.current(ctx);
      // At most two steps for an anchor, which is no older than one epoch.
      while (candidate !== undefined && candidate.startHeight > height) {
        candidate = candidate.number === 0n ? undefined : read(ctx, candidate.number - 1n);
      }
      return candidate !== undefined && height <= candidate.endHeight ? candidate : undefined;
    },

    beacon: (ctx, height) => beacons.get(ctx.store(STORE), height),

    candidates(ctx, { model, anchorHeight, maxInputPrice, maxOutputPrice }) {
      const members = keeper.at(ctx, anchorHeight)?.members ?? [];
      return members.flatMap((member) => {
        if (!isDrawn(member, anchorHeight)) return [];
        const offer = member.offers.find((entry) => entry.model === model);
        if (offer === undefined || offer.inputPrice > maxInputPrice || offer.outputPrice > maxOutputPrice) return [];
        return [{ id: member.operator, weight: drawWeight(member, anchorHeight), offer, nodeKey: member.nodeKey }];
      });
    },

    members: (ctx) => keeper.current(ctx).members.filter((member) => isDrawn(member, ctx.height)),

    exclude(ctx, operator) {
      const current = keeper.current(ctx);
      change(ctx, current.number, (member) => {
        const already = member.excludedHeight > current.startHeight;
        return member.operator !== operator || already ? member : { ...member, excludedHeight: ctx.height + 1n };
      });
    },

    suspend(ctx, operator) {
      change(ctx, keeper.current(ctx).number, (member) =>
        member.operator === operator ? suspend(member, ctx.height + 1n) : member,
      );
    },

    restore(ctx, operator) {
      change(ctx, keeper.current(ctx).number, (member) =>
        member.operator === operator ? restore(member, ctx.height + 1n) : member,
      );
    },

    refresh(ctx, { operator, nodeKey, url }) {
      const { number } = keeper.current(ctx);
      for (const affected of number === 0n ? [number] : [number - 1n, number]) {
        change(ctx, affected, (member) => {
          const same = member.url === url && compareBytes(member.nodeKey, nodeKey) === 0;
          return member.operator !== operator || same ? member : { ...member, nodeKey, url };
        });
      }
    },

    markSettled(ctx, number) {
      const before = read(ctx, number);
      if (before !== undefined) epochs.set(ctx.store(STORE), number, { ...before, settled: true });
    },

    validators: (ctx) =>
      Array.from(validators.entries(ctx.store(STORE)), ([publicKey, power]) => ({ publicKey, power })),

    setValidators(ctx, set) {
      const store = ctx.store(STORE);
      for (const { publicKey } of keeper.validators(ctx)) validators.delete(store, publicKey);
      for (const { publicKey, power } of set) if (power > 0n) validators.set(store, publicKey, power);
    },
  };
  return keeper;
}
