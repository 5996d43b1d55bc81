/** Epochs and rewards that a test moves by hand and looks into. */
import type { epoch, participant } from "@karat/proto";
import { domainHash, drawWeight } from "@karat/rules";
import type { Context } from "../../app/module.ts";
import { restore, suspend } from "../epoch/transition.ts";
import type { Candidate, CandidateFilter, Payment } from "../inference/index.ts";
import type { TestChain } from "./context.ts";

export class StandInEpochs {
  number = 3n;
  startHeight: bigint;
  members_: epoch.Member[] = [];
  readonly #chain: TestChain;

  constructor(chain: TestChain) {
    this.#chain = chain;
    this.startHeight = chain.height;
  }

  setMembers(participants: readonly participant.Participant[]): void {
    this.members_ = participants.map(({ operator, offers, url, nodeKey }) => ({
      operator,
      weight: 100n,
      offers,
      excludedHeight: 0n,
      suspendedHeight: 0n,
      restoredHeight: 0n,
      url,
      nodeKey,
    }));
  }

  /** The present block becomes the first of the next epoch. */
  next(): void {
    this.number++;
    this.startHeight = this.#chain.height;
  }

  current(_ctx: Context): epoch.Epoch {
    return {
      number: this.number,
      startHeight: this.startHeight,
      endHeight: this.startHeight + 29n,
      members: this.members_,
      settled: false,
    };
  }

  refresh(_ctx: Context, { operator, nodeKey, url }: participant.Participant): void {
    this.members_ = this.members_.map((member) =>
      member.operator === operator ? { ...member, nodeKey, url } : member,
    );
  }

  beacon(_ctx: Context, height: bigint): Uint8Array | undefined {
    return height > this.#chain.height ? undefined : this.beaconOf(height);
  }

  /** Also of heights to come. */
  beaconOf = (height: bigint): Uint8Array => domainHash("karat/test/beacon", height);

  /** All members as the draw takes them. */
  everybody(anchor: bigint): { id: string; weight: bigint }[] {
    return this.members_.map((member) => ({ id: member.operator, weight: drawWeight(member, anchor) }));
  }

  candidates(_ctx: Context, filter: CandidateFilter): Candidate[] {
    return this.members_
      .filter(({ excludedHeight }) => excludedHeight === 0n || filter.anchorHeight < excludedHeight)
      .flatMap((member) =>
        member.offers
          .filter(({ model }) => model === filter.model)
          .filter((o) => o.inputPrice <= filter.maxInputPrice && o.outputPrice <= filter.maxOutputPrice)
          .map((offer) => ({ id: member.operator, weight: drawWeight(member, filter.anchorHeight), offer })),
      );
  }

  members(ctx: Context): epoch.Member[] {
    return this.members_.filter(({ excludedHeight }) => excludedHeight === 0n || ctx.height < excludedHeight);
  }

  suspend(ctx: Context, operator: string): void {
    this.#edit(operator, (member) => suspend(member, ctx.height + 1n));
  }

  restore(ctx: Context, operator: string): void {
    this.#edit(operator, (member) => restore(member, ctx.height + 1n));
  }

  #edit(operator: string, change: (member: epoch.Member) => epoch.Member): void {
    this.members_ = this.members_.map((member) => (member.operator === operator ? change(member) : member));
  }

  exclude(ctx: Context, operator: string): void {
    this.members_ = this.members_.map((member) =>
      member.operator === operator ? { ...member, excludedHeight: ctx.height + 1n } : member,
    );
  }
}

/** Keeps what it was told, in order. */
export class StandInRewards {
  readonly distributed: (Payment & { readonly epoch: bigint })[] = [];
  readonly calls: string[] = [];

  distribute(_ctx: Context, epoch: bigint, payments: readonly Payment[]): void {
    this.distributed.push(...payments.map((payment) => ({ ...payment, epoch })));
  }
  assigned(_ctx: Context, operator: string, epoch: bigint, count: bigint): void {
    for (let i = 0n; i < count; i++) this.calls.push(`assigned ${operator} ${epoch}`);
  }
  missed(_ctx: Context, operator: string, epoch: bigint): void {
    this.calls.push(`missed ${operator} ${epoch}`);
  }
  duty(_ctx: Context, operator: string, epoch: bigint): void {
    this.calls.push(`duty ${operator} ${epoch}`);
  }
  dutyMissed(_ctx: Context, operator: string, epoch: bigint): void {
    this.calls.push(`dutyMissed ${operator} ${epoch}`);
  }
  forfeitDuties(_ctx: Context, operator: string, epoch: bigint): void {
    this.calls.push(`forfeitDuties ${operator} ${epoch}`);
  }
  exclude(_ctx: Context, operator: string, fromEpoch: bigint): void {
    this.calls.push(`exclude ${operator} ${fromEpoch}`);
  }
}
