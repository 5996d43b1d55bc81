/** Every query of Karat's own protos, under `/karat/<module>/v1/`. */
import {
  deposit,
  epoch,
  inference,
  params,
  participant,
  reputation,
  reward,
  sign,
  slashing,
  verification,
} from "@karat/proto";
import { query } from "../route.ts";

const INFERENCE = {
  status: inference.inferenceStatusToJSON,
  finishReason: sign.finishReasonToJSON,
  recording: sign.recordingModeToJSON,
};
const PARTICIPANT = { status: participant.participantStatusToJSON };

export const karatRoutes = [
  query("/karat/params/v1/params", {
    method: "/karat.params.v1.Query/Params",
    request: params.QueryParamsRequest,
    response: params.QueryParamsResponse,
  }),
  query("/karat/params/v1/models", {
    method: "/karat.params.v1.Query/Models",
    request: params.QueryModelsRequest,
    response: params.QueryModelsResponse,
  }),

  query("/karat/participant/v1/participants", {
    method: "/karat.participant.v1.Query/Participants",
    request: participant.QueryParticipantsRequest,
    response: participant.QueryParticipantsResponse,
    fields: (input) => ({ after: input.query("after"), limit: input.queryU32("limit") }),
    formats: PARTICIPANT,
  }),
  query("/karat/participant/v1/participants/:address", {
    method: "/karat.participant.v1.Query/Participant",
    request: participant.QueryParticipantRequest,
    response: participant.QueryParticipantResponse,
    fields: (input) => ({ address: input.address("address") }),
    formats: PARTICIPANT,
  }),

  query("/karat/slashing/v1/signing_infos/:operator", {
    method: "/karat.slashing.v1.Query/SigningInfo",
    request: slashing.QuerySigningInfoRequest,
    response: slashing.QuerySigningInfoResponse,
    fields: (input) => ({ operator: input.address("operator") }),
  }),

  query("/karat/epoch/v1/epochs/current", {
    method: "/karat.epoch.v1.Query/CurrentEpoch",
    request: epoch.QueryCurrentEpochRequest,
    response: epoch.QueryEpochResponse,
  }),
  query("/karat/epoch/v1/epochs/:number", {
    method: "/karat.epoch.v1.Query/Epoch",
    request: epoch.QueryEpochRequest,
    response: epoch.QueryEpochResponse,
    fields: (input) => ({ number: input.u64("number") }),
  }),
  // The newest one without a height.
  query("/karat/epoch/v1/beacons{/:height}", {
    method: "/karat.epoch.v1.Query/Beacon",
    request: epoch.QueryBeaconRequest,
    response: epoch.QueryBeaconResponse,
    fields: (input) => (input.path("height") === "" ? {} : { height: input.u64("height") }),
  }),

  query("/karat/deposit/v1/deposits/:client", {
    method: "/karat.deposit.v1.Query/Deposit",
    request: deposit.QueryDepositRequest,
    response: deposit.QueryDepositResponse,
    fields: (input) => ({ client: input.address("client") }),
  }),

  query("/karat/inference/v1/inferences", {
    method: "/karat.inference.v1.Query/Inferences",
    request: inference.QueryInferencesRequest,
    response: inference.QueryInferencesResponse,
    fields: (input) => ({
      executor: input.query("executor"),
      client: input.query("client"),
      after: input.queryHash("after"),
      limit: input.queryU32("limit"),
    }),
    formats: INFERENCE,
  }),
  query("/karat/inference/v1/inferences/:id", {
    method: "/karat.inference.v1.Query/Inference",
    request: inference.QueryInferenceRequest,
    response: inference.QueryInferenceResponse,
    fields: (input) => ({ id: input.hash("id") }),
    formats: INFERENCE,
  }),
  query("/karat/inference/v1/progress", {
    method: "/karat.inference.v1.Query/Progress",
    request: inference.QueryProgressRequest,
    response: inference.QueryProgressResponse,
    fields: (input) => ({ refs: input.queriesU64("refs") }),
    formats: { status: INFERENCE.status, finishReason: INFERENCE.finishReason },
  }),

  query("/karat/verification/v1/checks/:inference_id", {
    method: "/karat.verification.v1.Query/Check",
    request: verification.QueryCheckRequest,
    response: verification.QueryCheckResponse,
    fields: (input) => ({ inferenceId: input.hash("inference_id") }),
    formats: { status: verification.checkStatusToJSON, verdict: verification.verdictToJSON },
  }),
  query("/karat/verification/v1/duties/:validator", {
    method: "/karat.verification.v1.Query/PendingDuties",
    request: verification.QueryPendingDutiesRequest,
    response: verification.QueryPendingDutiesResponse,
    fields: (input) => ({ validator: input.address("validator"), limit: input.queryU32("limit") }),
    formats: { verdict: verification.verdictToJSON },
  }),

  query("/karat/reputation/v1/standings/:participant", {
    method: "/karat.reputation.v1.Query/Standing",
    request: reputation.QueryStandingRequest,
    response: reputation.QueryStandingResponse,
    fields: (input) => ({ participant: input.address("participant") }),
    formats: { state: reputation.standingStateToJSON },
  }),
  // Names of models have slashes.
  query("/karat/reputation/v1/reputations/:participant/*model", {
    method: "/karat.reputation.v1.Query/Reputation",
    request: reputation.QueryReputationRequest,
    response: reputation.QueryReputationResponse,
    fields: (input) => ({ participant: input.address("participant"), model: input.path("model") }),
  }),

  query("/karat/reward/v1/rewards/:epoch/:participant", {
    method: "/karat.reward.v1.Query/EpochReward",
    request: reward.QueryEpochRewardRequest,
    response: reward.QueryEpochRewardResponse,
    fields: (input) => ({ epoch: input.u64("epoch"), participant: input.address("participant") }),
  }),
  query("/karat/reward/v1/claimable/:participant", {
    method: "/karat.reward.v1.Query/Claimable",
    request: reward.QueryClaimableRequest,
    response: reward.QueryClaimableResponse,
    fields: (input) => ({ participant: input.address("participant") }),
  }),
  query("/karat/reward/v1/pools", {
    method: "/karat.reward.v1.Query/Pools",
    request: reward.QueryPoolsRequest,
    response: reward.QueryPoolsResponse,
  }),
];
