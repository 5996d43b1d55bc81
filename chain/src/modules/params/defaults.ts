import type { params } from "@karat/proto";

const KARAT = 1_000_000n;

/** For a public network with blocks of about five seconds: an epoch is a day. */
export const DEFAULT_PARAMS: params.Params = Object.freeze({
  epochBlocks: 17_280n,
  maxAnchorAge: 20n,
  inferenceDeadline: 120n,
  dutyDeadline: 30n,
  committeeSize: 5,
  committeeQuorum: 3,
  refundLock: 100n,
  executorBps: 9_000,
  transferAgentBps: 400,
  validatorsBps: 500,
  maxInlineBytes: 16_384,
  epochEmission: 100_000n * KARAT,
  emissionHalvingEpochs: 1_461,
  minCollateral: 1_000n * KARAT,
  collateralPerWeight: KARAT,
  maxWeightBps: 3_000,
  slashBps: 2_000,
  failureFine: 10n * KARAT,
  banAfterConvictions: 3,
  checkingFloorMicros: 10_000,
  gainPerInference: 10_000n,
  // Upper confidence bound of what the calibration of the models carries (models/README.md), not its estimate.
  alphaMicros: 1_600,
  reputationHalfTokens: 100_000n,
  retentionBlocks: 1_000n,
  claimEpochs: 2,
  minGasPriceMicros: 25_000n,
  unbondingBlocks: 362_880n,
  reputationGrowthCapMicros: 33_333,
});

/** For a network on one machine: everything that takes days there happens within minutes. */
export const LOCALNET_PARAMS: params.Params = Object.freeze({
  ...DEFAULT_PARAMS,
  epochBlocks: 30n,
  inferenceDeadline: 60n,
  dutyDeadline: 10n,
  committeeSize: 3,
  committeeQuorum: 2,
  refundLock: 20n,
  epochEmission: 1_000n * KARAT,
  minCollateral: 100n * KARAT,
  failureFine: KARAT,
  reputationHalfTokens: 2_000n,
  retentionBlocks: 300n,
  claimEpochs: 4,
  unbondingBlocks: 180n,
  reputationGrowthCapMicros: 200_000,
});
