import { ProposalStatus } from "cosmjs-types/cosmos/gov/v1/gov";
import type { Context } from "../../app/module.ts";
import type { Bank } from "./expects.ts";
import { deposits, ending, endOf, proposals, STORE, votes } from "./keys.ts";
import { ACCOUNT, amountOf } from "./money.ts";

/** The account holds the deposits of the open proposals, each as much as it says; only they have votes and an end. */
export function govInvariants(bank: Bank, ctx: Context): string[] {
  const store = ctx.store(STORE);
  const broken: string[] = [];
  const held = new Map<bigint, bigint>();
  let total = 0n;
  for (const [[id], amount] of deposits.entries(store)) {
    held.set(id, (held.get(id) ?? 0n) + amount);
    total += amount;
  }
  let open = 0;
  for (const [id, { status, totalDeposit }] of proposals.entries(store)) {
    const isOpen =
      status === ProposalStatus.PROPOSAL_STATUS_DEPOSIT_PERIOD ||
      status === ProposalStatus.PROPOSAL_STATUS_VOTING_PERIOD;
    if (!isOpen) {
      if (held.has(id)) broken.push(`proposal ${id} is decided and has deposits`);
      continue;
    }
    open++;
    const end = endOf.get(store, id);
    if (end === undefined || !ending.has(store, [end, id])) broken.push(`proposal ${id} never ends`);
    if (held.get(id) !== amountOf(totalDeposit)) broken.push(`deposits of proposal ${id}`);
  }
  if (Array.from(ending.entries(store)).length !== open) broken.push("ends of proposals that are not open");
  for (const [[id]] of votes.entries(store)) {
    if (proposals.get(store, id)?.status !== ProposalStatus.PROPOSAL_STATUS_VOTING_PERIOD)
      broken.push(`votes on ${id}`);
  }
  const balance = bank.balance(ctx, ACCOUNT);
  if (balance !== total) broken.push(`the account holds ${balance}, proposals ${total}`);
  return broken;
}
