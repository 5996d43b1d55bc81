import { DENOM, isKaratError } from "@karat/common";
import { deposit, epoch, inference, params, participant, reputation, reward, verification } from "@karat/proto";
import { BaseAccount } from "cosmjs-types/cosmos/auth/v1beta1/auth";
import { QueryAccountRequest, QueryAccountResponse } from "cosmjs-types/cosmos/auth/v1beta1/query";
import { QueryBalanceRequest, QueryBalanceResponse } from "cosmjs-types/cosmos/bank/v1beta1/query";

interface Codec<T> {
  encode(message: T): { finish(): Uint8Array };
  decode(bytes: Uint8Array): T;
}

export interface AccountState {
  readonly address: string;
  readonly accountNumber: bigint;
  readonly sequence: bigint;
  /** Its public key is on chain: it has signed before. */
  readonly hasKey: boolean;
}

/** Codes by which the application says that there is no such thing. */
const NOT_FOUND = new Set([22, 38]);

/** Typed queries of the last committed state. What does not exist is undefined. */
export class ChainQueries {
  readonly #ask: (path: string, request: Uint8Array) => Promise<Uint8Array>;

  constructor(ask: (path: string, request: Uint8Array) => Promise<Uint8Array>) {
    this.#ask = ask;
  }

  async params(): Promise<params.Params> {
    const answer = await this.#call("params", "Params", params.QueryParamsRequest, {}, params.QueryParamsResponse);
    if (!answer?.params) throw new Error("the chain has no parameters");
    return answer.params;
  }

  async models(): Promise<params.Model[]> {
    return (
      (await this.#call("params", "Models", params.QueryModelsRequest, {}, params.QueryModelsResponse))?.models ?? []
    );
  }

  /** By operator, node or validator address. */
  async participant(address: string): Promise<participant.Participant | undefined> {
    const { QueryParticipantRequest, QueryParticipantResponse } = participant;
    return (
      await this.#call("participant", "Participant", QueryParticipantRequest, { address }, QueryParticipantResponse)
    )?.participant;
  }

  /** All of them, page by page. */
  async participants(): Promise<participant.Participant[]> {
    const all: participant.Participant[] = [];
    const limit = 200;
    for (;;) {
      const request = { after: all.at(-1)?.operator ?? "", limit };
      const { QueryParticipantsRequest, QueryParticipantsResponse } = participant;
      const page = await this.#call(
        "participant",
        "Participants",
        QueryParticipantsRequest,
        request,
        QueryParticipantsResponse,
      );
      all.push(...(page?.participants ?? []));
      if ((page?.participants.length ?? 0) < limit) return all;
    }
  }

  /** The current epoch, or the one with a number. */
  async epoch(number?: bigint): Promise<epoch.Epoch | undefined> {
    const answer =
      number === undefined
        ? await this.#call("epoch", "CurrentEpoch", epoch.QueryCurrentEpochRequest, {}, epoch.QueryEpochResponse)
        : await this.#call("epoch", "Epoch", epoch.QueryEpochRequest, { number }, epoch.QueryEpochResponse);
    return answer?.epoch;
  }

  /** The newest beacon, or that of a height that is still kept. */
  beacon(height = 0n): Promise<epoch.QueryBeaconResponse | undefined> {
    return this.#call("epoch", "Beacon", epoch.QueryBeaconRequest, { height }, epoch.QueryBeaconResponse);
  }

  async inference(id: Uint8Array): Promise<inference.Inference | undefined> {
    const { QueryInferenceRequest, QueryInferenceResponse } = inference;
    return (await this.#call("inference", "Inference", QueryInferenceRequest, { id }, QueryInferenceResponse))
      ?.inference;
  }

  /** Where inferences stand, by their short ids (at most 256); those that the chain does not know are left out. */
  async progress(refs: readonly bigint[]): Promise<inference.Progress[]> {
    const { QueryProgressRequest, QueryProgressResponse } = inference;
    const request = { refs: [...refs] };
    return (
      (await this.#call("inference", "Progress", QueryProgressRequest, request, QueryProgressResponse))?.progress ?? []
    );
  }

  async check(inferenceId: Uint8Array): Promise<verification.Check | undefined> {
    return (await this.checkWithWindow(inferenceId)).check;
  }

  /** With one more than the index of the window that a second look wants opened now; 0: none. */
  async checkWithWindow(inferenceId: Uint8Array): Promise<verification.QueryCheckResponse> {
    const { QueryCheckRequest, QueryCheckResponse } = verification;
    const answer = await this.#call("verification", "Check", QueryCheckRequest, { inferenceId }, QueryCheckResponse);
    return answer ?? { check: undefined, window: 0 };
  }

  /** Open duties of a validator, by operator address. */
  async pendingDuties(validator: string, limit = 100): Promise<verification.Duty[]> {
    const { QueryPendingDutiesRequest, QueryPendingDutiesResponse } = verification;
    const request = { validator, limit };
    return (
      (
        await this.#call(
          "verification",
          "PendingDuties",
          QueryPendingDutiesRequest,
          request,
          QueryPendingDutiesResponse,
        )
      )?.duties ?? []
    );
  }

  async standing(operator: string): Promise<reputation.Standing | undefined> {
    const { QueryStandingRequest, QueryStandingResponse } = reputation;
    return (
      await this.#call("reputation", "Standing", QueryStandingRequest, { participant: operator }, QueryStandingResponse)
    )?.standing;
  }

  reputation(operator: string, model: string): Promise<reputation.QueryReputationResponse | undefined> {
    const { QueryReputationRequest, QueryReputationResponse } = reputation;
    return this.#call(
      "reputation",
      "Reputation",
      QueryReputationRequest,
      { participant: operator, model },
      QueryReputationResponse,
    );
  }

  async deposit(client: string): Promise<deposit.Deposit | undefined> {
    const { QueryDepositRequest, QueryDepositResponse } = deposit;
    return (await this.#call("deposit", "Deposit", QueryDepositRequest, { client }, QueryDepositResponse))?.deposit;
  }

  async epochReward(number: bigint, operator: string): Promise<reward.EpochReward | undefined> {
    const { QueryEpochRewardRequest, QueryEpochRewardResponse } = reward;
    const request = { epoch: number, participant: operator };
    return (await this.#call("reward", "EpochReward", QueryEpochRewardRequest, request, QueryEpochRewardResponse))
      ?.reward;
  }

  /** Settled and unclaimed rewards of an operator, oldest first. */
  async claimable(operator: string): Promise<reward.EpochReward[]> {
    const { QueryClaimableRequest, QueryClaimableResponse } = reward;
    return (
      (
        await this.#call(
          "reward",
          "Claimable",
          QueryClaimableRequest,
          { participant: operator },
          QueryClaimableResponse,
        )
      )?.rewards ?? []
    );
  }

  async pools(): Promise<reward.QueryPoolsResponse> {
    const pools = await this.#call("reward", "Pools", reward.QueryPoolsRequest, {}, reward.QueryPoolsResponse);
    return pools ?? { community: 0n, rewards: 0n, minted: 0n };
  }

  async account(address: string): Promise<AccountState | undefined> {
    const request = QueryAccountRequest.encode({ address }).finish();
    const bytes = await this.#find("/cosmos.auth.v1beta1.Query/Account", request);
    const account = bytes && QueryAccountResponse.decode(bytes).account;
    if (!account) return undefined;
    const { accountNumber, sequence, pubKey } = BaseAccount.decode(account.value);
    return { address, accountNumber, sequence, hasKey: pubKey !== undefined };
  }

  /** In ukarat. */
  async balance(address: string): Promise<bigint> {
    const request = QueryBalanceRequest.encode({ address, denom: DENOM }).finish();
    const bytes = await this.#find("/cosmos.bank.v1beta1.Query/Balance", request);
    return BigInt((bytes && QueryBalanceResponse.decode(bytes).balance?.amount) || 0);
  }

  async #call<Q, R>(
    module: string,
    method: string,
    request: Codec<Q>,
    message: Q,
    response: Codec<R>,
  ): Promise<R | undefined> {
    const bytes = await this.#find(`/karat.${module}.v1.Query/${method}`, request.encode(message).finish());
    return bytes && response.decode(bytes);
  }

  async #find(path: string, request: Uint8Array): Promise<Uint8Array | undefined> {
    try {
      return await this.#ask(path, request);
    } catch (error) {
      const missing =
        isKaratError(error, "query_failed") && error.data.codespace === "sdk" && NOT_FOUND.has(Number(error.data.code));
      if (missing) return undefined;
      throw error;
    }
  }
}
