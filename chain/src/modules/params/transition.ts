import type { params } from "@karat/proto";
import { EMBEDDING_LIMITS } from "@karat/rules";
import { ChainError } from "../../app/errors.ts";
import { PARAMS_ERRORS } from "./errors.ts";

const BPS = 10_000;
const MICROS = 1_000_000;
const MAX_HEIGHT_SPAN = 1n << 32n;
/** No single amount may come near the 64-bit limit: sums of them must fit. */
const MAX_AMOUNT = 1n << 60n;
/** Bits kept for each validator. */
const MAX_SIGNED_WINDOW = 100_000n;
const MAX_INLINE_BYTES = 256 * 1024;

type Check = readonly [holds: boolean, rule: string];

/** How often a duty passes to the next validator before the inference counts as unchecked. */
export const DUTY_REDRAWS = 3n;

/**
 * Blocks within which evidence against an inference started now is decided: the anchor's age, the finish, every
 * redraw of the duty, the committee, and the blocks that draws wait for.
 */
export function evidenceBlocks(p: params.Params): bigint {
  return p.maxAnchorAge + p.inferenceDeadline + (DUTY_REDRAWS + 2n) * (p.dutyDeadline + 1n);
}

/** Throws `invalid params` with every rule that is broken. */
export function validateParams(p: params.Params): void {
  const span = (value: bigint, least: bigint, name: string): Check => [
    value >= least && value <= MAX_HEIGHT_SPAN,
    `${name} must lie in ${least}..${MAX_HEIGHT_SPAN}`,
  ];
  const amount = (value: bigint, least: bigint, name: string): Check => [
    value >= least && value <= MAX_AMOUNT,
    `${name} must lie in ${least}..${MAX_AMOUNT}`,
  ];
  const whole = (value: number, least: number, most: number, name: string): Check => [
    Number.isInteger(value) && value >= least && value <= most,
    `${name} must lie in ${least}..${most}`,
  ];
  const checks: readonly Check[] = [
    span(p.epochBlocks, 2n, "epoch_blocks"),
    span(p.maxAnchorAge, 1n, "max_anchor_age"),
    [p.maxAnchorAge <= p.epochBlocks, "max_anchor_age may not exceed epoch_blocks"],
    span(p.inferenceDeadline, 1n, "inference_deadline"),
    span(p.dutyDeadline, 2n, "duty_deadline"),
    span(p.commitDeadline, 1n, "commit_deadline"),
    [p.commitDeadline < p.dutyDeadline, "commit_deadline must leave time for the verdict before duty_deadline"],
    whole(p.committeeSize, 1, 64, "committee_size"),
    whole(p.committeeQuorum, 1, p.committeeSize + 1, "committee_quorum"),
    span(p.refundLock, 1n, "refund_lock"),
    whole(p.executorBps, 0, BPS, "executor_bps"),
    whole(p.transferAgentBps, 0, BPS, "transfer_agent_bps"),
    whole(p.validatorsBps, 0, BPS, "validators_bps"),
    [p.executorBps + p.transferAgentBps + p.validatorsBps <= BPS, "the fee shares exceed the whole"],
    whole(p.maxInlineBytes, 0, MAX_INLINE_BYTES, "max_inline_bytes"),
    amount(p.epochEmission, 0n, "epoch_emission"),
    whole(p.emissionHalvingEpochs, 1, 1_000_000, "emission_halving_epochs"),
    amount(p.minCollateral, 1n, "min_collateral"),
    amount(p.collateralPerWeight, 1n, "collateral_per_weight"),
    [p.minCollateral >= p.collateralPerWeight, "min_collateral must carry one unit of weight"],
    whole(p.maxWeightBps, 1, BPS, "max_weight_bps"),
    whole(p.slashBps, 0, BPS, "slash_bps"),
    amount(p.failureFine, 0n, "failure_fine"),
    whole(p.banAfterConvictions, 1, 1_000, "ban_after_convictions"),
    whole(p.checkingFloorMicros, 0, MICROS, "checking_floor_micros"),
    amount(p.gainPerInference, 0n, "gain_per_inference"),
    whole(p.alphaMicros, 1, MICROS - 1, "alpha_micros"),
    amount(p.reputationHalfTokens, 1n, "reputation_half_tokens"),
    span(p.retentionBlocks, 1n, "retention_blocks"),
    [p.retentionBlocks >= p.maxAnchorAge, "an id must be remembered while its anchor is accepted: retention_blocks"],
    whole(p.claimEpochs, 1, 10_000, "claim_epochs"),
    amount(p.minGasPriceMicros, 0n, "min_gas_price_micros"),
    span(p.unbondingBlocks, 1n, "unbonding_blocks"),
    [
      p.unbondingBlocks >= p.epochBlocks + evidenceBlocks(p),
      `unbonding_blocks must outlast an epoch and its evidence (${p.epochBlocks + evidenceBlocks(p)})`,
    ],
    amount(p.accusationBond, 0n, "accusation_bond"),
    [p.accusationBond <= p.minCollateral, "accusation_bond must be covered by min_collateral"],
    whole(p.accuserShareBps, 0, BPS, "accuser_share_bps"),
    whole(p.verdictErrorMicros, 1, MICROS - 1, "verdict_error_micros"),
    whole(p.missAlphaMicros, 1, MICROS - 1, "miss_alpha_micros"),
    whole(p.evidenceTokens, 1, 4_096, "evidence_tokens"),
    whole(p.secondLookMicros, 0, MICROS, "second_look_micros"),
    whole(p.reputationGrowthCapMicros, 1, MICROS, "reputation_growth_cap_micros"),
    amount(p.govMinDeposit, 1n, "gov_min_deposit"),
    span(p.govDepositBlocks, 1n, "gov_deposit_blocks"),
    span(p.govVotingBlocks, 1n, "gov_voting_blocks"),
    whole(p.govQuorumMicros, 0, MICROS, "gov_quorum_micros"),
    // A minority must not pass anything, nor may a yes of everybody be too little.
    whole(p.govThresholdMicros, MICROS / 2, MICROS - 1, "gov_threshold_micros"),
    whole(p.govVetoMicros, 1, MICROS, "gov_veto_micros"),
    [
      p.signedBlocksWindow >= 0n && p.signedBlocksWindow <= MAX_SIGNED_WINDOW,
      `signed_blocks_window must lie in 0..${MAX_SIGNED_WINDOW}`,
    ],
    whole(p.minSignedMicros, 0, MICROS, "min_signed_micros"),
    span(p.downtimeJailBlocks, 1n, "downtime_jail_blocks"),
    whole(p.downtimeSlashBps, 0, BPS, "downtime_slash_bps"),
    whole(p.doubleSignSlashBps, 0, BPS, "double_sign_slash_bps"),
  ];
  const broken = checks.filter(([holds]) => !holds).map(([, rule]) => rule);
  if (broken.length > 0) throw new ChainError(PARAMS_ERRORS.invalidParams, broken.join("; "));
}

const MAX_MODEL_NUMBER = 256;
const MODEL_ID = /^[A-Za-z0-9][A-Za-z0-9._:/-]{0,127}$/;

/** Throws `invalid model`. */
export function validateModel(model: params.Model): void {
  const checks: readonly Check[] = [
    [MODEL_ID.test(model.id), "id must be 1 to 128 of A-Z a-z 0-9 . _ : / -"],
    [model.weightsHash.length === 32, "weights_hash must have 32 bytes"],
    [model.contextLength > 0, "context_length must be positive"],
    [model.vocabularySize > 0, "vocabulary_size must be positive"],
    [model.number <= MAX_MODEL_NUMBER, `number may be ${MAX_MODEL_NUMBER} at most`],
    [model.detectionMicros <= 1_000_000, "detection_micros must be at most 1000000"],
    [
      model.embeddingDimensions <= EMBEDDING_LIMITS.dimensions,
      `embedding_dimensions must be at most ${EMBEDDING_LIMITS.dimensions}`,
    ],
    [model.quantization.length > 0 && model.quantization.length <= 32, "quantization must have 1 to 32 characters"],
  ];
  const broken = checks.filter(([holds]) => !holds).map(([, rule]) => rule);
  if (broken.length > 0) throw new ChainError(PARAMS_ERRORS.invalidModel, `${model.id}: ${broken.join("; ")}`);
}
