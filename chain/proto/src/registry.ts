import { type GeneratedType, Registry } from "@cosmjs/proto-signing";
import { MsgMultiSend, MsgSend } from "cosmjs-types/cosmos/bank/v1beta1/tx";
import { MsgDeposit, MsgSubmitProposal, MsgVote, MsgVoteWeighted } from "cosmjs-types/cosmos/gov/v1/tx";
import { MsgCancelUpgrade, MsgSoftwareUpgrade } from "cosmjs-types/cosmos/upgrade/v1beta1/tx";
import * as deposit from "./modules/deposit.ts";
import * as inference from "./modules/inference.ts";
import * as params from "./modules/params.ts";
import * as participant from "./modules/participant.ts";
import * as reward from "./modules/reward.ts";
import * as slashing from "./modules/slashing.ts";
import * as verification from "./modules/verification.ts";

/** Every message of Karat with its type URL, as CosmJS's Registry takes them. */
export const karatTypes: ReadonlyArray<[string, GeneratedType]> = [
  ["/karat.deposit.v1.MsgDeposit", deposit.MsgDeposit],
  ["/karat.deposit.v1.MsgRequestRefund", deposit.MsgRequestRefund],
  ["/karat.deposit.v1.MsgWithdraw", deposit.MsgWithdraw],
  ["/karat.inference.v1.MsgRecords", inference.MsgRecords],
  ["/karat.params.v1.MsgUpdateParams", params.MsgUpdateParams],
  ["/karat.params.v1.MsgSetModel", params.MsgSetModel],
  ["/karat.participant.v1.MsgRegisterParticipant", participant.MsgRegisterParticipant],
  ["/karat.participant.v1.MsgUpdateParticipant", participant.MsgUpdateParticipant],
  ["/karat.participant.v1.MsgAddCollateral", participant.MsgAddCollateral],
  ["/karat.participant.v1.MsgLeave", participant.MsgLeave],
  ["/karat.participant.v1.MsgWithdrawCollateral", participant.MsgWithdrawCollateral],
  ["/karat.reward.v1.MsgClaimRewards", reward.MsgClaimRewards],
  ["/karat.slashing.v1.MsgUnjail", slashing.MsgUnjail],
  ["/karat.verification.v1.MsgCommitChecks", verification.MsgCommitChecks],
  ["/karat.verification.v1.MsgSubmitVerdicts", verification.MsgSubmitVerdicts],
];

/** Type URLs by name, for building messages. */
export const typeUrls = {
  deposit: "/karat.deposit.v1.MsgDeposit",
  requestRefund: "/karat.deposit.v1.MsgRequestRefund",
  withdraw: "/karat.deposit.v1.MsgWithdraw",
  records: "/karat.inference.v1.MsgRecords",
  registerParticipant: "/karat.participant.v1.MsgRegisterParticipant",
  updateParticipant: "/karat.participant.v1.MsgUpdateParticipant",
  addCollateral: "/karat.participant.v1.MsgAddCollateral",
  leave: "/karat.participant.v1.MsgLeave",
  withdrawCollateral: "/karat.participant.v1.MsgWithdrawCollateral",
  updateParams: "/karat.params.v1.MsgUpdateParams",
  setModel: "/karat.params.v1.MsgSetModel",
  unjail: "/karat.slashing.v1.MsgUnjail",
  claimRewards: "/karat.reward.v1.MsgClaimRewards",
  commitChecks: "/karat.verification.v1.MsgCommitChecks",
  submitVerdicts: "/karat.verification.v1.MsgSubmitVerdicts",
} as const;

/** Messages of registered node and validator keys that pay no fee up to their share of the block. */
export const protocolTypeUrls: ReadonlySet<string> = new Set<string>([
  typeUrls.records,
  typeUrls.commitChecks,
  typeUrls.submitVerdicts,
  typeUrls.claimRewards,
]);

/** A CosmJS registry that knows Karat's messages beside those of the bank and of governance. */
export function createKaratRegistry(): Registry {
  return new Registry([
    ["/cosmos.bank.v1beta1.MsgSend", MsgSend],
    ["/cosmos.bank.v1beta1.MsgMultiSend", MsgMultiSend],
    ["/cosmos.gov.v1.MsgSubmitProposal", MsgSubmitProposal],
    ["/cosmos.gov.v1.MsgDeposit", MsgDeposit],
    ["/cosmos.gov.v1.MsgVote", MsgVote],
    ["/cosmos.gov.v1.MsgVoteWeighted", MsgVoteWeighted],
    ["/cosmos.upgrade.v1beta1.MsgSoftwareUpgrade", MsgSoftwareUpgrade],
    ["/cosmos.upgrade.v1beta1.MsgCancelUpgrade", MsgCancelUpgrade],
    ...karatTypes,
  ]);
}
