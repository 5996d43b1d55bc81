import { GasInfo, Result } from "cosmjs-types/cosmos/base/abci/v1beta1/abci";
import { SimulateRequest, SimulateResponse } from "cosmjs-types/cosmos/tx/v1beta1/service";
import { Tx } from "cosmjs-types/cosmos/tx/v1beta1/tx";
import { ChainError } from "../errors.ts";
import type { TxOutcome } from "../execute.ts";
import type { QueryHandler } from "../module.ts";

export interface TxServiceDeps {
  simulate(tx: Uint8Array): TxOutcome;
}

/** cosmos.tx.v1beta1.Service/Simulate. What was committed is found in the engine's index (rest/engineQueries.ts). */
export function txService({ simulate }: TxServiceDeps): Record<string, QueryHandler> {
  return {
    "/cosmos.tx.v1beta1.Service/Simulate"(_, request) {
      const { tx, txBytes } = SimulateRequest.decode(request);
      const outcome = simulate(txBytes.length > 0 || tx === undefined ? txBytes : Tx.encode(tx).finish());
      if (outcome.code !== 0) {
        throw new ChainError({ codespace: outcome.codespace, code: outcome.code }, outcome.log);
      }
      return SimulateResponse.encode({
        gasInfo: GasInfo.fromPartial({ gasWanted: outcome.gasWanted, gasUsed: outcome.gasUsed }),
        result: Result.fromPartial({
          data: outcome.data,
          log: outcome.log,
          events: [...outcome.events],
          msgResponses: [...outcome.responses],
        }),
      }).finish();
    },
  };
}
