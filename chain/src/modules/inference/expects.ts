/** What this module wants of others; the composition root hands it over. Amounts in ukarat. */
import type { epoch, params, participant } from "@karat/proto";
import type { Context } from "../../app/module.ts";

export interface Params {
  get(ctx: Context): params.Params;
  modelByNumber(ctx: Context, number: number): params.Model | undefined;
}

export interface Account {
  readonly address: string;
  /** Unknown until the account has signed for the first time. */
  readonly publicKey: Uint8Array | undefined;
  readonly accountNumber: bigint;
  readonly sequence: bigint;
}

export interface Accounts {
  byNumber(ctx: Context, number: bigint): Account | undefined;
  set(ctx: Context, account: Account): void;
}

export interface Participants {
  byNodeAddress(ctx: Context, address: string): participant.Participant | undefined;
  byOperator(ctx: Context, address: string): participant.Participant | undefined;
  byNumber(ctx: Context, number: number): participant.Participant | undefined;
}

/** A participant that may be drawn as executor. */
export interface Candidate {
  /** Operator address. */
  readonly id: string;
  readonly weight: bigint;
  readonly offer: participant.Offer;
}

export interface CandidateFilter {
  readonly model: string;
  readonly anchorHeight: bigint;
  readonly maxInputPrice: bigint;
  readonly maxOutputPrice: bigint;
}

export interface Epochs {
  current(ctx: Context): epoch.Epoch;
  beacon(ctx: Context, height: bigint): Uint8Array | undefined;
  candidates(ctx: Context, filter: CandidateFilter): readonly Candidate[];
}

/** What inferences hold of deposits. */
export interface Holds {
  /** Throws ChainError where the spendable balance is too small. */
  lock(ctx: Context, client: string, amount: bigint): void;
  unlock(ctx: Context, client: string, amount: bigint): void;
}

export interface Deposits extends Holds {
  /** For all records of one message, which `write` writes together. */
  together(): Holds & { write(ctx: Context): void };
  /** Pays `to` out of what is locked. */
  spend(ctx: Context, client: string, amount: bigint, to: string): void;
  /** Sum over all clients, for the invariant. */
  totalLocked(ctx: Context): bigint;
}

/** What one inference has cost. */
export interface Payment {
  /** Operator addresses; without a transfer agent its part goes to the community. */
  readonly executor: string;
  readonly transferAgent: string | undefined;
  readonly amount: bigint;
}

export interface Rewards {
  /**
   * Splits amounts that lie in the module account `reward` already. `epoch` is the one whose pool of duty fees the
   * validators' parts join: over and not settled.
   */
  distribute(ctx: Context, epoch: bigint, payments: readonly Payment[]): void;
  assigned(ctx: Context, operator: string, epoch: bigint, count: bigint): void;
  missed(ctx: Context, operator: string, epoch: bigint): void;
}

export interface Reputation {
  assigned(ctx: Context, operator: string, count: bigint): void;
  miss(ctx: Context, operator: string): void;
  /** Excludes at once, on two contradicting statements of the operator's own key. */
  convict(ctx: Context, evidence: { operator: string; model: string; epoch: bigint }): void;
}

/** What the records of a message work with. */
export interface RecordDeps {
  readonly accounts: Accounts;
  readonly params: Params;
  readonly participants: Participants;
  readonly epochs: Epochs;
  readonly deposits: Holds;
  readonly rewards: Rewards;
  readonly reputation: Reputation;
}

export interface InferenceDeps extends RecordDeps {
  readonly deposits: Deposits;
}
