import { type Proposal, ProposalStatus, type TallyResult } from "cosmjs-types/cosmos/gov/v1/gov";
import { isChainError } from "../../app/errors.ts";
import type { Context } from "../../app/module.ts";
import { executeMessages } from "./content.ts";
import type { GovDeps } from "./expects.ts";
import { require as required, unschedule } from "./keeper.ts";
import { ending, endOf, nextId, proposals, STORE, votes } from "./keys.ts";
import { release } from "./money.ts";
import { outcome, type Tally, tally, tallyResult } from "./transition.ts";

/** Proposals that one block decides; what is left over is decided in the next. */
const DECIDED_PER_BLOCK = 2;
/** Proposals that stay to be looked at; older ones go when newer ones are decided. */
export const KEPT_PROPOSALS = 1_000n;

/** Ends the periods that are over. Expected failures of a proposal's messages are its result, never an error. */
export function endPeriods(deps: GovDeps, ctx: Context): void {
  const due = Array.from(ending.entries(ctx.store(STORE), { limit: DECIDED_PER_BLOCK }), ([key]) => key).filter(
    ([height]) => height <= ctx.height,
  );
  for (const [, id] of due) {
    const proposal = required(ctx, id);
    unschedule(ctx, id);
    if (proposal.status === ProposalStatus.PROPOSAL_STATUS_VOTING_PERIOD) decide(deps, ctx, proposal);
    else drop(deps, ctx, proposal);
  }
  if (due.length > 0) forgetOld(ctx);
}

/** More than one block adds, so that none is left behind. */
function forgetOld(ctx: Context): void {
  const store = ctx.store(STORE);
  const oldest = Array.from(proposals.entries(store, { limit: 2 * DECIDED_PER_BLOCK }), ([id]) => id);
  const newest = nextId.get(store) ?? 1n;
  for (const id of oldest) if (id + KEPT_PROPOSALS < newest && !endOf.has(store, id)) proposals.delete(store, id);
}

/** Nobody wanted it enough to pay for a vote: it goes, and what was paid goes to the community. */
function drop({ bank }: GovDeps, ctx: Context, { id }: Proposal): void {
  release(bank, ctx, id, "community");
  proposals.delete(ctx.store(STORE), id);
  ctx.emit("inactive_proposal", { proposal_id: id.toString(), proposal_result: "proposal_dropped" });
}

function decide(deps: GovDeps, ctx: Context, proposal: Proposal): void {
  const { id, messages } = proposal;
  const { sums, total } = count(deps, ctx, id);
  const result = outcome(sums, total, deps.params.get(ctx));
  release(deps.bank, ctx, id, result === "vetoed" ? "community" : "depositors");
  removeVotes(ctx, id);
  const failedReason = result === "passed" ? failureOf(() => executeMessages(deps, ctx, messages)) : "";
  const status =
    result !== "passed"
      ? ProposalStatus.PROPOSAL_STATUS_REJECTED
      : failedReason === ""
        ? ProposalStatus.PROPOSAL_STATUS_PASSED
        : ProposalStatus.PROPOSAL_STATUS_FAILED;
  proposals.set(ctx.store(STORE), id, {
    ...proposal,
    status,
    votingEndTime: ctx.time,
    finalTallyResult: tallyResult(sums),
    failedReason,
  });
  ctx.emit("active_proposal", {
    proposal_id: id.toString(),
    proposal_result:
      result === "passed" ? (failedReason === "" ? "proposal_passed" : "proposal_failed") : `proposal_${result}`,
  });
}

/** The votes as they stand, weighed by the running epoch. */
export function currentTally(deps: GovDeps, ctx: Context, id: bigint): TallyResult {
  return tallyResult(count(deps, ctx, id).sums);
}

function count(deps: GovDeps, ctx: Context, id: bigint): { sums: Tally; total: bigint } {
  const members = deps.epochs.members(ctx);
  const weights = new Map(members.map(({ operator, weight }) => [operator, weight]));
  const total = members.reduce((sum, { weight }) => sum + weight, 0n);
  return { sums: tally(votesOf(ctx, id), weights), total };
}

/** At most one for each participant. */
function* votesOf(ctx: Context, id: bigint) {
  for (const [[of], vote] of votes.entries(ctx.store(STORE), { from: [id, ""] })) {
    if (of !== id) return;
    yield vote;
  }
}

function removeVotes(ctx: Context, id: bigint): void {
  const voters = Array.from(votesOf(ctx, id), ({ voter }) => voter);
  for (const voter of voters) votes.delete(ctx.store(STORE), [id, voter]);
}

/** The words of an expected failure; empty where there was none. */
function failureOf(run: () => void): string {
  try {
    run();
    return "";
  } catch (error) {
    if (!isChainError(error)) throw error;
    return error.message.slice(0, 1_000);
  }
}
