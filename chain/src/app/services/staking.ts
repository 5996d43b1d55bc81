/**
 * The validator set in the words of cosmos.staking.v1beta1, for wallets and explorers. Nobody delegates here: weight comes
 * from compute and collateral, so every list of delegations is empty.
 */
import { toBech32 } from "@cosmjs/encoding";
import { ADDRESS_PREFIX, addressBytes, DENOM } from "@karat/common";
import { PubKey } from "cosmjs-types/cosmos/crypto/ed25519/keys";
import {
  QueryDelegationRequest,
  QueryDelegatorDelegationsResponse,
  QueryDelegatorUnbondingDelegationsResponse,
  QueryParamsResponse,
  QueryPoolResponse,
  QueryValidatorRequest,
  QueryValidatorResponse,
  QueryValidatorsRequest,
  QueryValidatorsResponse,
} from "cosmjs-types/cosmos/staking/v1beta1/query";
import { BondStatus, Validator } from "cosmjs-types/cosmos/staking/v1beta1/staking";
import { ChainError, SDK } from "../errors.ts";
import type { Context, QueryHandler } from "../module.ts";
import { readPage } from "../pages.ts";

/** A participant with a consensus key. */
export interface StakingValidator {
  readonly operator: string;
  readonly consensusKey: Uint8Array;
  readonly url: string;
  readonly collateral: bigint;
  /** In the consensus set now. */
  readonly bonded: boolean;
  /** Convicted, and not back yet. */
  readonly jailed: boolean;
}

export interface StakingServiceDeps {
  /** In order of operators. */
  validators(ctx: Context): readonly StakingValidator[];
}

const VALIDATOR_PREFIX = `${ADDRESS_PREFIX}valoper`;
const valoper = (operator: string): string => toBech32(VALIDATOR_PREFIX, addressBytes(operator)!);

const validatorOf = ({ operator, consensusKey, url, collateral, bonded, jailed }: StakingValidator): Validator =>
  Validator.fromPartial({
    operatorAddress: valoper(operator),
    consensusPubkey: {
      typeUrl: "/cosmos.crypto.ed25519.PubKey",
      value: PubKey.encode({ key: consensusKey }).finish(),
    },
    jailed,
    status: bonded ? BondStatus.BOND_STATUS_BONDED : BondStatus.BOND_STATUS_UNBONDED,
    tokens: collateral.toString(),
    // Decimals travel as integers of 18 digits.
    delegatorShares: (collateral * 10n ** 18n).toString(),
    description: { moniker: operator, website: url },
    commission: { commissionRates: { rate: "0", maxRate: "0", maxChangeRate: "0" } },
    minSelfDelegation: "0",
  });

export function stakingService({ validators }: StakingServiceDeps): Record<string, QueryHandler> {
  const service = "/cosmos.staking.v1beta1.Query";
  const emptyPage = { nextKey: new Uint8Array(), total: 0n };
  return {
    [`${service}/Validators`](ctx, request) {
      const { status, pagination } = QueryValidatorsRequest.decode(request);
      const all = validators(ctx).filter(
        ({ bonded }) =>
          status === "" || (status === "BOND_STATUS_BONDED" ? bonded : status === "BOND_STATUS_UNBONDED" && !bonded),
      );
      const page = readPage(
        pagination,
        (from) => (from === undefined ? all : all.filter(({ operator }) => Buffer.compare(keyOf(operator), from) >= 0)),
        ({ operator }) => keyOf(operator),
      );
      return QueryValidatorsResponse.encode({
        validators: page.items.map(validatorOf),
        pagination: page.pagination,
      }).finish();
    },

    [`${service}/Validator`](ctx, request) {
      const { validatorAddr } = QueryValidatorRequest.decode(request);
      const validator = validators(ctx).find(({ operator }) => valoper(operator) === validatorAddr);
      if (validator === undefined) throw notFound(`validator ${validatorAddr}`);
      return QueryValidatorResponse.encode({ validator: validatorOf(validator) }).finish();
    },

    [`${service}/Pool`](ctx) {
      const sum = (bonded: boolean) =>
        validators(ctx).reduce((total, each) => (each.bonded === bonded ? total + each.collateral : total), 0n);
      return QueryPoolResponse.encode({
        pool: { bondedTokens: sum(true).toString(), notBondedTokens: sum(false).toString() },
      }).finish();
    },

    [`${service}/Params`]: () =>
      QueryParamsResponse.encode(
        QueryParamsResponse.fromPartial({ params: { bondDenom: DENOM, minCommissionRate: "0" } }),
      ).finish(),

    [`${service}/DelegatorDelegations`]: () =>
      QueryDelegatorDelegationsResponse.encode({ delegationResponses: [], pagination: emptyPage }).finish(),

    [`${service}/DelegatorUnbondingDelegations`]: () =>
      QueryDelegatorUnbondingDelegationsResponse.encode({ unbondingResponses: [], pagination: emptyPage }).finish(),

    [`${service}/Delegation`](_, request) {
      const { delegatorAddr } = QueryDelegationRequest.decode(request);
      throw notFound(`delegation of ${delegatorAddr}`);
    },
  };
}

const keyOf = (operator: string): Uint8Array => new TextEncoder().encode(operator);

/** CosmJS recognises what does not exist by these words. */
const notFound = (what: string): ChainError =>
  new ChainError(SDK.keyNotFound, `rpc error: code = NotFound desc = ${what}: key not found`);
