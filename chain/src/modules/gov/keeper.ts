import { type Proposal, ProposalStatus, type WeightedVoteOption } from "cosmjs-types/cosmos/gov/v1/gov";
import type { MsgSubmitProposal } from "cosmjs-types/cosmos/gov/v1/tx";
import { ChainError } from "../../app/errors.ts";
import type { Context } from "../../app/module.ts";
import { durationOf } from "../support/blockTime.ts";
import { checkMessages } from "./content.ts";
import { GOV_ERRORS } from "./errors.ts";
import type { GovDeps } from "./expects.ts";
import { ending, endOf, nextId, proposals, STORE, votes } from "./keys.ts";
import { amountOf, coinsOf, take } from "./money.ts";
import { initialDeposit } from "./transition.ts";

/** Most proposals in their deposit or voting period at once. */
export const MAX_OPEN = 64;

const { PROPOSAL_STATUS_DEPOSIT_PERIOD, PROPOSAL_STATUS_VOTING_PERIOD } = ProposalStatus;

/** Throws `unknown proposal`. */
export function require(ctx: Context, id: bigint): Proposal {
  const found = proposals.get(ctx.store(STORE), id);
  if (found === undefined) throw new ChainError(GOV_ERRORS.unknownProposal, `proposal ${id} doesn't exist`);
  return found;
}

/** A new proposal in its deposit period, or at once in its voting period; returns its id. */
export function submit(deps: GovDeps, ctx: Context, message: MsgSubmitProposal): bigint {
  const rules = deps.params.get(ctx);
  const amount = amountOf(message.initialDeposit);
  if (amount < initialDeposit(rules)) {
    throw new ChainError(GOV_ERRORS.depositTooSmall, `the first deposit is at least ${initialDeposit(rules)}ukarat`);
  }
  checkMessages(deps, ctx, message.messages);
  const store = ctx.store(STORE);
  if (Array.from(ending.entries(store, { limit: MAX_OPEN })).length >= MAX_OPEN) {
    throw new ChainError(GOV_ERRORS.tooManyProposals, `${MAX_OPEN} proposals are open`);
  }
  const id = nextId.get(store) ?? 1n;
  nextId.set(store, id + 1n);
  const proposal: Proposal = {
    id,
    messages: message.messages,
    status: PROPOSAL_STATUS_DEPOSIT_PERIOD,
    submitTime: ctx.time,
    depositEndTime: later(ctx, rules.govDepositBlocks),
    totalDeposit: [],
    metadata: message.metadata,
    title: message.title,
    summary: message.summary,
    proposer: message.proposer,
    expedited: false,
    failedReason: "",
  };
  proposals.set(store, id, proposal);
  schedule(ctx, id, rules.govDepositBlocks);
  ctx.emit("submit_proposal", {
    proposal_id: id.toString(),
    proposal_proposer: message.proposer,
    proposal_messages: message.messages.map(({ typeUrl }) => typeUrl).join(","),
  });
  deposit(deps, ctx, id, message.proposer, amount);
  return id;
}

/** Adds to the deposit; where it suffices, the vote begins. Throws `unknown proposal`, `inactive proposal`. */
export function deposit(deps: GovDeps, ctx: Context, id: bigint, depositor: string, amount: bigint): void {
  const before = require(ctx, id);
  const { status } = before;
  if (status !== PROPOSAL_STATUS_DEPOSIT_PERIOD && status !== PROPOSAL_STATUS_VOTING_PERIOD) {
    throw new ChainError(GOV_ERRORS.inactiveProposal, `proposal ${id} is decided`);
  }
  const rules = deps.params.get(ctx);
  const total = (before.totalDeposit.length === 0 ? 0n : amountOf(before.totalDeposit)) + amount;
  take(deps.bank, ctx, id, depositor, amount);
  const starts = status === PROPOSAL_STATUS_DEPOSIT_PERIOD && total >= rules.govMinDeposit;
  proposals.set(ctx.store(STORE), id, {
    ...before,
    totalDeposit: coinsOf(total),
    ...(starts && {
      status: PROPOSAL_STATUS_VOTING_PERIOD,
      votingStartTime: ctx.time,
      votingEndTime: later(ctx, rules.govVotingBlocks),
    }),
  });
  ctx.emit("proposal_deposit", { depositor, amount: `${amount}ukarat`, proposal_id: id.toString() });
  if (!starts) return;
  unschedule(ctx, id);
  schedule(ctx, id, rules.govVotingBlocks);
  ctx.emit("proposal_deposit", { voting_period_start: id.toString() });
}

/** The last vote counts. Throws `unknown proposal`, `inactive proposal`, `no voter`. */
export function vote(
  deps: GovDeps,
  ctx: Context,
  ballot: { proposalId: bigint; voter: string; options: WeightedVoteOption[]; metadata: string },
): void {
  const { proposalId: id, voter, options } = ballot;
  if (require(ctx, id).status !== PROPOSAL_STATUS_VOTING_PERIOD) {
    throw new ChainError(GOV_ERRORS.inactiveProposal, `proposal ${id} is not in its voting period`);
  }
  // So that the number of votes is that of the participants at most.
  if (deps.participants.byOperator(ctx, voter) === undefined) {
    throw new ChainError(GOV_ERRORS.noVoter, `${voter} is no operator of a participant`);
  }
  votes.set(ctx.store(STORE), [id, voter], ballot);
  ctx.emit("proposal_vote", {
    voter,
    proposal_id: id.toString(),
    option: JSON.stringify(options.map(({ option, weight }) => ({ option, weight }))),
  });
}

function schedule(ctx: Context, id: bigint, blocks: bigint): void {
  const end = ctx.height + blocks;
  ending.set(ctx.store(STORE), [end, id], true);
  endOf.set(ctx.store(STORE), id, end);
}

export function unschedule(ctx: Context, id: bigint): void {
  const end = endOf.get(ctx.store(STORE), id);
  if (end === undefined) return;
  ending.delete(ctx.store(STORE), [end, id]);
  endOf.delete(ctx.store(STORE), id);
}

const later = ({ time }: Context, blocks: bigint): { seconds: bigint; nanos: number } => ({
  seconds: time.seconds + durationOf(blocks).seconds,
  nanos: time.nanos,
});
