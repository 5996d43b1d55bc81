/** The messages of cosmos.gov.v1, so that stock clients and wallets propose, deposit and vote. */
import type { WeightedVoteOption } from "cosmjs-types/cosmos/gov/v1/gov";
import {
  MsgDeposit,
  MsgDepositResponse,
  MsgSubmitProposal,
  MsgSubmitProposalResponse,
  MsgVote,
  MsgVoteResponse,
  MsgVoteWeighted,
  MsgVoteWeightedResponse,
} from "cosmjs-types/cosmos/gov/v1/tx";
import { ChainError } from "../../app/errors.ts";
import type { MessageHandler } from "../../app/module.ts";
import { defineMessage, requireAddress } from "../support/message.ts";
import { GOV_ERRORS } from "./errors.ts";
import type { GovDeps } from "./expects.ts";
import { deposit, submit, vote } from "./keeper.ts";
import { amountOf } from "./money.ts";
import { checkOptions } from "./transition.ts";

/** Longest texts, in bytes. */
const LIMITS = { title: 140, summary: 10_000, metadata: 255 } as const;
/** A whole vote, as the wire writes it. */
const WHOLE = "1.000000000000000000";

function checkText(what: keyof typeof LIMITS, text: string): void {
  if (new TextEncoder().encode(text).length > LIMITS[what]) {
    throw new ChainError(GOV_ERRORS.invalidProposal, `${what} has more than ${LIMITS[what]} bytes`);
  }
}

export function govMessages(deps: GovDeps): Readonly<Record<string, MessageHandler>> {
  return {
    "/cosmos.gov.v1.MsgSubmitProposal": defineMessage<MsgSubmitProposal>({
      codec: MsgSubmitProposal,
      response: {
        typeUrl: "/cosmos.gov.v1.MsgSubmitProposalResponse",
        encode: (message) => MsgSubmitProposalResponse.encode(message as MsgSubmitProposalResponse),
      },
      signers: ({ proposer }) => [proposer],

      checkStateless({ proposer, initialDeposit, title, summary, metadata, expedited }) {
        requireAddress(proposer, "proposer");
        amountOf(initialDeposit);
        if (title === "" || summary === "")
          throw new ChainError(GOV_ERRORS.invalidProposal, "title and summary are needed");
        checkText("title", title);
        checkText("summary", summary);
        checkText("metadata", metadata);
        if (expedited) throw new ChainError(GOV_ERRORS.invalidProposal, "expedited proposals are not served");
      },

      execute: (ctx, message) => ({ proposalId: submit(deps, ctx, message) }),
    }),

    "/cosmos.gov.v1.MsgDeposit": defineMessage<MsgDeposit>({
      codec: MsgDeposit,
      response: {
        typeUrl: "/cosmos.gov.v1.MsgDepositResponse",
        encode: (message) => MsgDepositResponse.encode(message),
      },
      signers: ({ depositor }) => [depositor],

      checkStateless({ depositor, amount }) {
        requireAddress(depositor, "depositor");
        amountOf(amount);
      },

      execute(ctx, { proposalId, depositor, amount }) {
        deposit(deps, ctx, proposalId, depositor, amountOf(amount));
        return {};
      },
    }),

    "/cosmos.gov.v1.MsgVote": defineMessage<MsgVote>({
      codec: MsgVote,
      response: { typeUrl: "/cosmos.gov.v1.MsgVoteResponse", encode: (message) => MsgVoteResponse.encode(message) },
      signers: ({ voter }) => [voter],

      checkStateless({ voter, option, metadata }) {
        checkBallot(voter, [{ option, weight: WHOLE }], metadata);
      },

      execute(ctx, { proposalId, voter, option, metadata }) {
        vote(deps, ctx, { proposalId, voter, options: [{ option, weight: WHOLE }], metadata });
        return {};
      },
    }),

    "/cosmos.gov.v1.MsgVoteWeighted": defineMessage<MsgVoteWeighted>({
      codec: MsgVoteWeighted,
      response: {
        typeUrl: "/cosmos.gov.v1.MsgVoteWeightedResponse",
        encode: (message) => MsgVoteWeightedResponse.encode(message),
      },
      signers: ({ voter }) => [voter],

      checkStateless({ voter, options, metadata }) {
        checkBallot(voter, options, metadata);
      },

      execute(ctx, { proposalId, voter, options, metadata }) {
        vote(deps, ctx, { proposalId, voter, options, metadata });
        return {};
      },
    }),
  };
}

function checkBallot(voter: string, options: readonly WeightedVoteOption[], metadata: string): void {
  requireAddress(voter, "voter");
  checkOptions(options);
  checkText("metadata", metadata);
}
