/** Votes and what follows from them: integers only, every division rounds down. Pure. */

import type { params } from "@karat/proto";
import { type TallyResult, VoteOption, type WeightedVoteOption } from "cosmjs-types/cosmos/gov/v1/gov";
import { ChainError } from "../../app/errors.ts";
import { GOV_ERRORS } from "./errors.ts";

/** Weights of a split vote are decimals with so many digits, as in the Cosmos SDK. */
const ONE = 10n ** 18n;
const MICROS = 1_000_000n;
const OPTIONS = [
  VoteOption.VOTE_OPTION_YES,
  VoteOption.VOTE_OPTION_ABSTAIN,
  VoteOption.VOTE_OPTION_NO,
  VoteOption.VOTE_OPTION_NO_WITH_VETO,
];

export type Rules = Pick<params.Params, "govQuorumMicros" | "govThresholdMicros" | "govVetoMicros">;

export interface Tally {
  readonly yes: bigint;
  readonly abstain: bigint;
  readonly no: bigint;
  readonly veto: bigint;
  /** Weight of all who voted: at least the sum of the options, which lose what is rounded away. */
  readonly voted: bigint;
}

export type Outcome = "passed" | "rejected" | "vetoed";

/** In 10^-18; throws `invalid vote` for what is no decimal of the wire in (0, 1]. */
export function weightOf(text: string): bigint {
  const match = /^([01])(?:\.(\d{1,18}))?$/.exec(text);
  const weight = match === null ? 0n : BigInt(match[1]!) * ONE + BigInt((match[2] ?? "").padEnd(18, "0"));
  if (weight === 0n || weight > ONE) throw new ChainError(GOV_ERRORS.invalidVote, `weight ${JSON.stringify(text)}`);
  return weight;
}

/** Each option once, with weights that sum to one. Throws `invalid vote`. */
export function checkOptions(options: readonly WeightedVoteOption[]): void {
  const refuse = (why: string): never => {
    throw new ChainError(GOV_ERRORS.invalidVote, why);
  };
  if (options.length === 0 || options.length > OPTIONS.length) refuse("a vote has one to four options");
  if (new Set(options.map(({ option }) => option)).size !== options.length) refuse("an option appears twice");
  if (options.some(({ option }) => !OPTIONS.includes(option))) refuse("no such option");
  if (options.reduce((sum, { weight }) => sum + weightOf(weight), 0n) !== ONE) refuse("the weights do not sum to 1");
}

/** Sums what each voter's weight gives to the options, rounded down for each. Voters without weight count for nothing. */
export function tally(
  votes: Iterable<{ readonly voter: string; readonly options: readonly WeightedVoteOption[] }>,
  weights: ReadonlyMap<string, bigint>,
): Tally {
  const sums = new Map<VoteOption, bigint>();
  let voted = 0n;
  for (const { voter, options } of votes) {
    const power = weights.get(voter) ?? 0n;
    voted += power;
    for (const { option, weight } of options) {
      sums.set(option, (sums.get(option) ?? 0n) + (power * weightOf(weight)) / ONE);
    }
  }
  const of = (option: VoteOption) => sums.get(option) ?? 0n;
  return {
    yes: of(VoteOption.VOTE_OPTION_YES),
    abstain: of(VoteOption.VOTE_OPTION_ABSTAIN),
    no: of(VoteOption.VOTE_OPTION_NO),
    veto: of(VoteOption.VOTE_OPTION_NO_WITH_VETO),
    voted,
  };
}

/** Quorum of the whole weight, then the veto among those who voted, then yes among those who took a side. */
export function outcome({ yes, veto, no, voted }: Tally, total: bigint, rules: Rules): Outcome {
  if (voted === 0n || voted * MICROS < total * BigInt(rules.govQuorumMicros)) return "rejected";
  if (veto * MICROS > voted * BigInt(rules.govVetoMicros)) return "vetoed";
  return yes * MICROS > (yes + no + veto) * BigInt(rules.govThresholdMicros) ? "passed" : "rejected";
}

export const tallyResult = ({ yes, abstain, no, veto }: Tally): TallyResult => ({
  yesCount: yes.toString(),
  abstainCount: abstain.toString(),
  noCount: no.toString(),
  noWithVetoCount: veto.toString(),
});

/** A share in millionths as the decimal text of the wire. */
export const microsText = (micros: number): string =>
  `${micros === 1_000_000 ? 1 : 0}.${String(micros % 1_000_000).padStart(6, "0")}000000000000`;

/** Least first deposit: a tenth of what a vote needs, rounded up. */
export const initialDeposit = ({ govMinDeposit }: Pick<params.Params, "govMinDeposit">): bigint =>
  (govMinDeposit + 9n) / 10n;
