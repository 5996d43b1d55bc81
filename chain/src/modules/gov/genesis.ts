import { fromBase64, toBase64 } from "@karat/common";
import { Proposal, ProposalStatus, Vote } from "cosmjs-types/cosmos/gov/v1/gov";
import type { Context } from "../../app/module.ts";
import { decodeCanonical } from "../../app/tx/canonical.ts";
import {
  asGenesis,
  fundModuleAccount,
  genesisAmount,
  genesisList,
  genesisObject,
  invalidGenesis,
} from "../support/genesis.ts";
import { requireAddress } from "../support/message.ts";
import type { Bank } from "./expects.ts";
import { deposits, ending, endOf, nextId, proposals, STORE, votes } from "./keys.ts";

/**
 * `{nextId, proposals: [{proposal: base64, end?}], deposits: [{proposal, depositor, amount}], votes: [base64]}` of an exported
 * chain; nothing for a new one. Deposits are minted where the bank's genesis does not have them.
 */
export function initGov(bank: Bank, ctx: Context, state: unknown): void {
  const given = genesisObject(state, STORE, ["nextId", "proposals", "deposits", "votes"]);
  const store = ctx.store(STORE);
  if (given.nextId !== undefined) nextId.set(store, genesisAmount(given.nextId, "gov.nextId"));
  genesisList(given.proposals, "gov.proposals").forEach((json, i) => {
    const where = `gov.proposals[${i}]`;
    const row = genesisObject(json, where, ["proposal", "end"]);
    const proposal = message(Proposal, row.proposal, where);
    proposals.set(store, proposal.id, proposal);
    if (!isOpen(proposal)) return;
    const end = genesisAmount(row.end, `${where}.end`);
    ending.set(store, [end, proposal.id], true);
    endOf.set(store, proposal.id, end);
  });
  let total = 0n;
  genesisList(given.deposits, "gov.deposits").forEach((json, i) => {
    const where = `gov.deposits[${i}]`;
    const row = genesisObject(json, where, ["proposal", "depositor", "amount"]);
    const depositor = String(row.depositor);
    asGenesis(() => requireAddress(depositor, where));
    const amount = genesisAmount(row.amount, where);
    deposits.set(store, [genesisAmount(row.proposal, where), depositor], amount);
    total += amount;
  });
  genesisList(given.votes, "gov.votes").forEach((json, i) => {
    const vote = message(Vote, json, `gov.votes[${i}]`);
    votes.set(store, [vote.proposalId, vote.voter], vote);
  });
  fundModuleAccount(ctx, bank, STORE, total);
}

export function exportGov(ctx: Context): unknown {
  const store = ctx.store(STORE);
  return {
    nextId: (nextId.get(store) ?? 1n).toString(),
    proposals: Array.from(proposals.entries(store), ([id, proposal]) => ({
      proposal: toBase64(Proposal.encode(proposal).finish()),
      ...(isOpen(proposal) && { end: endOf.get(store, id)!.toString() }),
    })),
    deposits: Array.from(deposits.entries(store), ([[proposal, depositor], amount]) => ({
      proposal: proposal.toString(),
      depositor,
      amount: amount.toString(),
    })),
    votes: Array.from(votes.entries(store), ([, vote]) => toBase64(Vote.encode(vote).finish())),
  };
}

const isOpen = ({ status }: Proposal): boolean =>
  status === ProposalStatus.PROPOSAL_STATUS_DEPOSIT_PERIOD || status === ProposalStatus.PROPOSAL_STATUS_VOTING_PERIOD;

function message<T>(codec: Parameters<typeof decodeCanonical<T>>[0], value: unknown, where: string): T {
  if (typeof value !== "string") throw invalidGenesis(`${where} is no base64 text`);
  return asGenesis(() => decodeCanonical(codec, fromBase64(value), where));
}
