import { DENOM } from "@karat/common";
import { ConfigResponse } from "cosmjs-types/cosmos/base/node/v1beta1/query";
import { GetLatestBlockResponse, GetNodeInfoResponse } from "cosmjs-types/cosmos/base/tendermint/v1beta1/query";
import { ChainError, SDK } from "../errors.ts";
import type { Context, QueryHandler } from "../module.ts";

export interface NodeServiceDeps {
  /** Empty before the genesis. */
  chainId(): string;
  readonly version: string;
}

/** cosmos.base.tendermint.v1beta1.Service, as far as an application can know it: blocks and the state of syncing are the engine's. */
export function nodeService({ chainId, version }: NodeServiceDeps): Record<string, QueryHandler> {
  const service = "/cosmos.base.tendermint.v1beta1.Service";
  return {
    [`${service}/GetNodeInfo`]: () =>
      GetNodeInfoResponse.encode(
        GetNodeInfoResponse.fromPartial({
          defaultNodeInfo: { network: chainId() },
          applicationVersion: { name: "karat", appName: "karat", version },
        }),
      ).finish(),

    /** Chain id, height and time of the last committed block. */
    [`${service}/GetLatestBlock`](ctx) {
      if (ctx.height === 0n) throw new ChainError(SDK.notFound, "no block yet");
      const header = { chainId: ctx.chainId, height: ctx.height, time: ctx.time };
      return GetLatestBlockResponse.encode(
        GetLatestBlockResponse.fromPartial({ block: { header }, sdkBlock: { header } }),
      ).finish();
    },
  };
}

/** cosmos.base.node.v1beta1.Service/Config: the least gas price, by which wallets set their fees. */
export function configService(minGasPriceMicros: (ctx: Context) => bigint): Record<string, QueryHandler> {
  return {
    "/cosmos.base.node.v1beta1.Service/Config": (ctx) =>
      ConfigResponse.encode(
        ConfigResponse.fromPartial({ minimumGasPrice: gasPriceText(minGasPriceMicros(ctx)) }),
      ).finish(),
  };
}

/** `25000` as `0.025000ukarat`. */
export function gasPriceText(micros: bigint): string {
  const digits = micros.toString().padStart(7, "0");
  return `${digits.slice(0, -6)}.${digits.slice(-6)}${DENOM}`;
}
