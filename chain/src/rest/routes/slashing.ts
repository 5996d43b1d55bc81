/** cosmos.slashing: who has signed how many blocks of the window, and who is out. */
import * as slashing from "cosmjs-types/cosmos/slashing/v1beta1/query";
import { decimal, duration } from "../formats.ts";
import { query } from "../route.ts";

const SLASHING = "/cosmos.slashing.v1beta1.Query";
/** Decimals are bytes in this module's messages. */
const share = (wire: Uint8Array): string => decimal(new TextDecoder().decode(wire));

export const slashingRoutes = [
  query("/cosmos/slashing/v1beta1/params", {
    method: `${SLASHING}/Params`,
    request: slashing.QueryParamsRequest,
    response: slashing.QueryParamsResponse,
    formats: {
      minSignedPerWindow: share,
      downtimeJailDuration: duration,
      slashFractionDoubleSign: share,
      slashFractionDowntime: share,
    },
  }),
  query("/cosmos/slashing/v1beta1/signing_infos", {
    method: `${SLASHING}/SigningInfos`,
    request: slashing.QuerySigningInfosRequest,
    response: slashing.QuerySigningInfosResponse,
    fields: (input) => ({ pagination: input.pagination() }),
  }),
  query("/cosmos/slashing/v1beta1/signing_infos/:address", {
    method: `${SLASHING}/SigningInfo`,
    request: slashing.QuerySigningInfoRequest,
    response: slashing.QuerySigningInfoResponse,
    fields: (input) => ({ consAddress: input.path("address") }),
  }),
];
