/** cosmos.slashing.v1beta1.Query, as wallets and explorers ask. */
import { fromBech32, toBech32 } from "@cosmjs/encoding";
import { ADDRESS_PREFIX } from "@karat/common";
import type { slashing } from "@karat/proto";
import {
  QueryParamsRequest,
  QueryParamsResponse,
  QuerySigningInfoRequest,
  QuerySigningInfoResponse,
  QuerySigningInfosRequest,
  QuerySigningInfosResponse,
} from "cosmjs-types/cosmos/slashing/v1beta1/query";
import { Params, ValidatorSigningInfo } from "cosmjs-types/cosmos/slashing/v1beta1/slashing";
import type { Context, QueryHandler } from "../../app/module.ts";
import { readPage } from "../../app/pages.ts";
import { durationOf } from "../support/blockTime.ts";
import { defineQuery, found } from "../support/query.ts";
import type { SlashingDeps } from "./expects.ts";
import { infos, STORE } from "./keys.ts";

const SERVICE = "/cosmos.slashing.v1beta1.Query";
const PREFIX = `${ADDRESS_PREFIX}valcons`;
/** 9999-12-31T23:59:59Z, which the Cosmos SDK writes for those who never come back. */
const NEVER = 253_402_300_799n;

const utf8 = new TextEncoder();
/** A share of 10^`digits` as a decimal of 18 digits, in the text that travels. */
const decimal = (share: number, digits: number): Uint8Array =>
  utf8.encode((BigInt(share) * 10n ** BigInt(18 - digits)).toString());

export function cosmosQueries({ params }: Pick<SlashingDeps, "params">): Readonly<Record<string, QueryHandler>> {
  return {
    [`${SERVICE}/Params`]: defineQuery(QueryParamsRequest, QueryParamsResponse, (ctx) => {
      const rules = params.get(ctx);
      return {
        params: Params.fromPartial({
          signedBlocksWindow: rules.signedBlocksWindow,
          minSignedPerWindow: decimal(rules.minSignedMicros, 6),
          downtimeJailDuration: durationOf(rules.downtimeJailBlocks),
          slashFractionDoubleSign: decimal(rules.doubleSignSlashBps, 4),
          slashFractionDowntime: decimal(rules.downtimeSlashBps, 4),
        }),
      };
    }),

    [`${SERVICE}/SigningInfo`]: defineQuery(
      QuerySigningInfoRequest,
      QuerySigningInfoResponse,
      (ctx, { consAddress }) => {
        const address = addressOf(consAddress);
        const info = address && infos.get(ctx.store(STORE), address);
        return { valSigningInfo: shown(ctx, address!, found(info, `signing info of ${consAddress}`)) };
      },
    ),

    [`${SERVICE}/SigningInfos`]: defineQuery(
      QuerySigningInfosRequest,
      QuerySigningInfosResponse,
      (ctx, { pagination }) => {
        const store = ctx.store(STORE);
        const page = readPage(
          pagination,
          (from) => infos.entries(store, from === undefined ? {} : { from }),
          ([address]) => address,
        );
        return { info: page.items.map(([address, info]) => shown(ctx, address, info)), pagination: page.pagination };
      },
    ),
  };
}

function shown(ctx: Context, address: Uint8Array, info: slashing.SigningInfo): ValidatorSigningInfo {
  const wait = info.jailedUntil > ctx.height ? info.jailedUntil - ctx.height : 0n;
  return ValidatorSigningInfo.fromPartial({
    address: toBech32(PREFIX, address),
    startHeight: info.startHeight,
    indexOffset: info.window === 0n ? 0n : ctx.height % info.window,
    jailedUntil: {
      seconds: info.tombstoned ? NEVER : info.jailed ? ctx.time.seconds + durationOf(wait).seconds : 0n,
      nanos: 0,
    },
    tombstoned: info.tombstoned,
    missedBlocksCounter: info.missed,
  });
}

/** 20 bytes; undefined for what is no consensus address of this chain. */
function addressOf(text: string): Uint8Array | undefined {
  try {
    const { prefix, data } = fromBech32(text);
    return prefix === PREFIX && data.length === 20 ? data : undefined;
  } catch {
    return undefined;
  }
}
