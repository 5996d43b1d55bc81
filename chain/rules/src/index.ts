export type { TokenCounts, TokenLogit } from "./allowedSet.ts";
export {
  ARTIFACT_STEPS,
  type ArtifactCoding,
  type ArtifactPosition,
  type ArtifactStep,
  type DecodedArtifact,
  decodeArtifact,
  encodeArtifact,
  FLOOR_NATS,
  MAX_ALTERNATIVES,
  type PositionValues,
  positionValues,
  type TokenLogprob,
} from "./artifact.ts";
export {
  type ArtifactCommitment,
  type ArtifactProof,
  artifactLeaf,
  artifactProof,
  artifactRoot,
  type CommittedPosition,
  verifyArtifactProof,
  WINDOW_TOKENS,
} from "./artifactTree.ts";
export { canonicalJson } from "./canonicalJson.ts";
export { type CheckedValues, checkCommitment } from "./checkCommitment.ts";
export {
  checkValuesWindow,
  drawnWindow,
  FAR_UNITS,
  MAX_WINDOW_BYTES,
  openValues,
  type ValuesOpening,
  valuesAgree,
  valuesRoot,
  valuesWindows,
} from "./checkedWindows.ts";
export { type CheckingRateInput, checkingRateMicros } from "./checkingRate.ts";
export {
  type CostBounds,
  cost,
  type FeeShares,
  type FeeSplit,
  feeSplit,
  maxPartCost,
  type PartStart,
  type Price,
} from "./cost.ts";
export { type Candidate, DrawTable, drawWeight, executorOrder, weightedOrder } from "./draw.ts";
export { committeeDraw, type DutyInput, dutyDraw, dutyOrder, secondLookDraw } from "./duty.ts";
export {
  decodeVectors,
  EMBEDDING_LIMITS,
  encodeVectors,
  SKETCH_CODING,
  shortened,
  sketchOf,
  unitVector,
  type VectorsCommitment,
  vectorBytes,
  vectorDistance,
  vectorsRoot,
} from "./embedding.ts";
export { type EmissionSchedule, epochEmission, type RewardClaimant, rewardShares } from "./emission.ts";
export { isRuleError, RuleError, type RuleErrorCode } from "./errors.ts";
export { log2Ceil, log2Floor } from "./fixedPoint.ts";
export {
  type Allowed,
  type AnswerPiece,
  AnswerReader,
  biasOf,
  CONSTRAINT_LIMITS,
  ConstrainedAnswer,
  type Constraint,
  constraintNode,
  constraintOf,
  type FunctionTool,
  type ResponseFormat,
  readAnswer,
  TOOL_CALL,
  TokenGrammar,
  type TokenTable,
  type ToolCallText,
  VocabularyIndex,
  writeCalls,
} from "./grammar/index.ts";
export {
  bytesToHex,
  compareBytes,
  concatBytes,
  domainHash,
  type HashPart,
  hexToBytes,
  sha256,
  tokensHash,
  u32,
  u64,
  utf8,
} from "./hash.ts";
export { reputation } from "./reputation.ts";
export {
  type ChatMessage,
  hashOfCanonical,
  REQUEST_LIMITS,
  type Role,
  requestHash,
  type SanitizedRequest,
  samplingOf,
  sanitizeEmbedding,
  sanitizeRequest,
  type ToolCall,
} from "./request.ts";
export { chatOfResponses } from "./responsesRequest.ts";
export { adjustLogits, allowedSet, gumbel, type Margin, margin, sample, samplingSeed } from "./sampling.ts";
export {
  DEFAULT_SAMPLING,
  MAX_TOP_K,
  MICROS,
  type SamplingParams,
  samplingHash,
  toMicros,
  validateSampling,
} from "./samplingParams.ts";
export { type DistanceStatistics, distance, gonkaDistance } from "./scoring/distance.ts";
export { type EmbeddingScore, scoreEmbedding } from "./scoring/embeddingScore.ts";
export { type GumbelStatistics, gateOf, gumbelCheck, LONGEST_UNIT } from "./scoring/gumbelCheck.ts";
export {
  joinLikelihood,
  type LikelihoodInput,
  type LikelihoodStatistics,
  likelihoodCheck,
  likelihoodScore,
  surprisalZ,
} from "./scoring/likelihood.ts";
export { inspectPositions, type PositionEvidence } from "./scoring/positions.ts";
export {
  BUCKET_STARTS,
  bucketIndex,
  bucketOf,
  conformalP,
  type EmbeddingProfile,
  leastP,
  likelihoodScores,
  type Profile,
  type ProfileBucket,
  type UnseededProfile,
} from "./scoring/profile.ts";
export {
  bucketOfP,
  type FinishName,
  type Score,
  type ScoreInput,
  scoreInference,
  scorePool,
} from "./scoring/verdict.ts";
export { recentEvidence, type StandingInput, type StandingState, standing } from "./standing.ts";
