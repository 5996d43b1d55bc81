/** Proposals, deposits and votes: parameters that change while everything runs, and much that comes to nothing. */
import { DENOM } from "@karat/common";
import { createKaratRegistry, participant, typeUrls } from "@karat/proto";
import { type Proposal, ProposalStatus, VoteOption } from "cosmjs-types/cosmos/gov/v1/gov";
import type { Any } from "cosmjs-types/google/protobuf/any";
import type { Message, Signer } from "../../../chain/src/app/testing/index.ts";
import { proposals } from "../../../chain/src/modules/gov/keys.ts";
import { paramsItem } from "../../../chain/src/modules/params/keys.ts";
import { GOVERNANCE } from "../../../chain/src/modules/support/authority.ts";
import { type Plan, SIMULATION_PARAMS, type World } from "../world.ts";

const { PROPOSAL_STATUS_DEPOSIT_PERIOD, PROPOSAL_STATUS_VOTING_PERIOD } = ProposalStatus;
const { ParticipantStatus } = participant;
const registry = createKaratRegistry();
const coins = (amount: bigint) => [{ denom: DENOM, amount: amount.toString() }];
const MIN = SIMULATION_PARAMS.govMinDeposit;

const open = (world: World, status: ProposalStatus): Proposal[] =>
  Array.from(proposals.entries(world.ctx.store("gov")), ([, proposal]) => proposal).filter(
    (proposal) => proposal.status === status,
  );

const message = (signer: Signer, typeUrl: string, value: object): Plan => ({ signer, messages: [{ typeUrl, value }] });

export function propose(world: World): Plan | undefined {
  const { random } = world;
  if (open(world, PROPOSAL_STATUS_VOTING_PERIOD).length > 4) return undefined;
  const by = random.percent(50) ? world.rich : random.pick(world.operators).operator;
  return message(world.know(by), "/cosmos.gov.v1.MsgSubmitProposal", {
    messages: content(world),
    initialDeposit: coins(random.pick([MIN, MIN, MIN / 2n, MIN / 10n, 1n])),
    proposer: by.address,
    metadata: "",
    title: `Proposal ${world.nonce()}`,
    summary: "What a random generator wants",
    expedited: random.percent(3),
  });
}

function content(world: World): Any[] {
  const { random } = world;
  const now = paramsItem.get(world.ctx.store("params"))!;
  const authority = random.percent(3) ? world.rich.address : GOVERNANCE;
  const plan = (ahead: number) => ({
    authority,
    plan: {
      name: `v${random.between(random.percent(10) ? 1 : 2, 4)}`,
      height: world.height + BigInt(ahead),
      info: "",
      time: { seconds: 0n, nanos: 0 },
    },
  });
  const encode = (typeUrl: string, value: object) => registry.encodeAsAny({ typeUrl, value });
  const change = () =>
    encode(typeUrls.updateParams, {
      authority,
      params: {
        ...now,
        failureFine: BigInt(random.between(0, 3_000_000)),
        slashBps: random.between(0, random.percent(10) ? 12_000 : 5_000),
        executorBps: random.between(8_000, 9_000),
        dutyDeadline: BigInt(random.between(3, 5)),
        retentionBlocks: BigInt(random.between(20, 40)),
        maxWeightBps: random.between(2_500, 5_000),
        gainPerInference: BigInt(random.between(0, 1_000)),
        committeeSize: random.between(2, 4),
        committeeQuorum: 2,
      },
    });
  const failing = () => [change(), encode("/cosmos.upgrade.v1beta1.MsgSoftwareUpgrade", plan(3))];
  const planning = () => [encode("/cosmos.upgrade.v1beta1.MsgSoftwareUpgrade", plan(1_000_000))];
  return random.pick<() => Any[]>([
    () => [],
    () => [change()],
    () => [change()],
    () => [change(), change()],
    // Past when the vote ends: passes and fails.
    failing,
    failing,
    planning,
    planning,
    () => [encode("/cosmos.upgrade.v1beta1.MsgCancelUpgrade", { authority })],
  ])();
}

/** Adds what is missing, or a part of it. */
export function fundProposal(world: World): Plan | undefined {
  const { random } = world;
  const waiting = open(world, random.percent(85) ? PROPOSAL_STATUS_DEPOSIT_PERIOD : PROPOSAL_STATUS_VOTING_PERIOD);
  if (waiting.length === 0) return undefined;
  const by = random.percent(50) ? world.rich : random.pick(world.clients);
  return message(by, "/cosmos.gov.v1.MsgDeposit", {
    proposalId: random.pick(waiting).id,
    depositor: by.address,
    amount: coins(random.pick([MIN / 2n, MIN, 1n])),
  });
}

/** A vote on everything that is open, mostly as others vote on it, so that every end occurs. */
export function vote(world: World): Plan | undefined {
  const { random } = world;
  const voting = open(world, PROPOSAL_STATUS_VOTING_PERIOD);
  if (voting.length === 0) return undefined;
  const active = world.participants().filter(({ status }) => status === ParticipantStatus.ACTIVE);
  const voter =
    active.length > 0 && random.percent(90)
      ? world.operatorOf(random.pick(active).operator).operator
      : random.pick([...world.clients, ...world.operators.map(({ operator }) => operator)]);
  const ids = voting.map(({ id }) => (random.percent(99) ? id : id + 1_000n));
  return { signer: world.know(voter), messages: ids.map((id) => ballot(world, voter.address, id)) };
}

function ballot(world: World, voter: string, proposalId: bigint): Message {
  const { random } = world;
  const mood = Number(proposalId % 5n);
  const tends = [VoteOption.VOTE_OPTION_NO_WITH_VETO, VoteOption.VOTE_OPTION_NO][mood] ?? VoteOption.VOTE_OPTION_YES;
  const option = random.percent(85) ? tends : random.pick([VoteOption.VOTE_OPTION_YES, VoteOption.VOTE_OPTION_ABSTAIN]);
  if (random.percent(80)) {
    return { typeUrl: "/cosmos.gov.v1.MsgVote", value: { proposalId, voter, option, metadata: "" } };
  }
  const part = random.between(1, 9);
  const other = option === VoteOption.VOTE_OPTION_ABSTAIN ? VoteOption.VOTE_OPTION_NO : VoteOption.VOTE_OPTION_ABSTAIN;
  const options = [
    { option, weight: `0.${part}` },
    { option: other, weight: `0.${random.percent(97) ? 10 - part : part}` },
  ];
  return { typeUrl: "/cosmos.gov.v1.MsgVoteWeighted", value: { proposalId, voter, options, metadata: "" } };
}
