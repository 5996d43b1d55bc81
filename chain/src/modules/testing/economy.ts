/** Params, participants, epochs and rewards over the bank in memory, with genesis participants by name. */

import type { params } from "@karat/proto";
import { participant } from "@karat/proto";
import type { ValidatorUpdate } from "../../app/module.ts";
import { createEpochModule, type EpochModule } from "../epoch/index.ts";
import { createParamsModule, LOCALNET_PARAMS } from "../params/index.ts";
import { createParticipantModule } from "../participant/index.ts";
import { createRewardModule } from "../reward/index.ts";
import { memoryBank } from "./bank.ts";
import { NO_FACTS, TestChain } from "./context.ts";
import { keyNamed, registrationOf } from "./identities.ts";

export class TestEconomy {
  readonly chain = new TestChain();
  readonly bank = memoryBank;
  readonly params = createParamsModule();
  readonly participants = createParticipantModule({
    bank: memoryBank,
    params: this.params,
    epochs: { refresh: (ctx, entry) => this.epochs.refresh(ctx, entry) },
  });
  readonly epochs: EpochModule = createEpochModule({ params: this.params, participants: this.participants });
  readonly rewards = createRewardModule(this);
  /** What the last block that changed the consensus set changed. */
  validatorUpdates: readonly ValidatorUpdate[] = [];

  constructor(names: readonly string[], change: Partial<params.Params> = {}) {
    const { chain } = this;
    this.params.set(chain.ctx, { ...LOCALNET_PARAMS, ...change });
    this.params.setModel(chain.ctx, {
      id: "tiny",
      weightsHash: new Uint8Array(32),
      contextLength: 64,
      vocabularySize: 64,
      quantization: "f16",
      number: 0,
      detectionMicros: 0,
      embeddingDimensions: 0,
    });
    const entries = names.map((name) => participant.Participant.fromPartial(registrationOf(name)));
    this.participants.initGenesis!(chain.ctx, {
      participants: entries.map((entry) => participant.Participant.toJSON(entry)),
    });
    this.rewards.initGenesis!(chain.ctx, undefined);
    this.epochs.initGenesis!(chain.ctx, undefined);
  }

  /** One block with `body` in it; invariants hold after it, and no coin is lost. */
  block(body: () => void = () => undefined): void {
    const { chain } = this;
    this.epochs.beginBlock!(chain.ctx, NO_FACTS);
    body();
    this.rewards.endBlock!(chain.ctx);
    const updates = this.epochs.endBlock!(chain.ctx) ?? [];
    if (updates.length > 0) this.validatorUpdates = updates;
    const broken = [this.participants, this.epochs, this.rewards].flatMap((module) => module.invariants!(chain.ctx));
    if (this.bank.sum(chain.ctx) !== this.bank.supply(chain.ctx)) broken.push("coins were lost");
    if (broken.length > 0) throw new Error(`height ${chain.height}: ${broken.join("; ")}`);
    chain.height++;
  }

  /** Blocks until the epoch of this number runs. */
  untilEpoch(number: bigint): void {
    while (this.epochs.current(this.chain.ctx).number < number) this.block();
  }

  /** Registers in a block of its own. */
  register(name: string): void {
    const message = registrationOf(name);
    this.bank.mint(this.chain.ctx, message.operator, message.collateral);
    this.block(
      () => void this.chain.deliver(this.participants, "/karat.participant.v1.MsgRegisterParticipant", message),
    );
  }

  /** As the reputation module does it. */
  convict(name: string, fromEpoch: bigint): void {
    const { chain } = this;
    const operator = keyNamed(name).address;
    this.participants.convict(chain.ctx, operator, this.epochs.current(chain.ctx).number);
    this.epochs.exclude(chain.ctx, operator);
    this.rewards.exclude(chain.ctx, operator, fromEpoch);
  }

  /** Operators of the running epoch's members, in order. */
  members(): string[] {
    return this.epochs.current(this.chain.ctx).members.map(({ operator }) => operator);
  }
}

/** Operator addresses of names, in order of addresses. */
export const operatorsOf = (...names: readonly string[]): string[] =>
  names.map((name) => keyNamed(name).address).sort();
