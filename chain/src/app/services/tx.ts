import { fromHex, toHex } from "@karat/common";
import { GasInfo, Result, TxResponse } from "cosmjs-types/cosmos/base/abci/v1beta1/abci";
import { GetTxRequest, GetTxResponse, SimulateRequest, SimulateResponse } from "cosmjs-types/cosmos/tx/v1beta1/service";
import { Tx } from "cosmjs-types/cosmos/tx/v1beta1/tx";
import type { ExecTxResult } from "cosmjs-types/tendermint/abci/types";
import { abciEvents } from "../abciTypes.ts";
import { ChainError, SDK } from "../errors.ts";
import type { TxOutcome } from "../execute.ts";
import type { QueryHandler } from "../module.ts";

/** Committed transactions by hash, where the engine keeps an index. Answers at once. */
export interface TxIndex {
  get(hash: Uint8Array): { height: bigint; tx: Uint8Array; result: ExecTxResult } | undefined;
}

export interface TxServiceDeps {
  simulate(tx: Uint8Array): TxOutcome;
  readonly index?: TxIndex;
}

/** cosmos.tx.v1beta1.Service: Simulate, and GetTx where there is an index. */
export function txService({ simulate, index }: TxServiceDeps): Record<string, QueryHandler> {
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
          events: abciEvents(outcome.events),
          msgResponses: [...outcome.responses],
        }),
      }).finish();
    },
    ...(index && { "/cosmos.tx.v1beta1.Service/GetTx": getTx(index) }),
  };
}

const getTx =
  (index: TxIndex): QueryHandler =>
  (_, request) => {
    const { hash } = GetTxRequest.decode(request);
    if (!/^[0-9a-fA-F]{64}$/.test(hash)) throw new ChainError(SDK.invalidRequest, "the hash is 64 hex digits");
    const found = index.get(fromHex(hash));
    if (found === undefined) throw new ChainError(SDK.keyNotFound, `tx not found: ${hash}: key not found`);
    const { result } = found;
    return GetTxResponse.encode({
      tx: Tx.decode(found.tx),
      txResponse: TxResponse.fromPartial({
        height: found.height,
        txhash: hash.toUpperCase(),
        codespace: result.codespace,
        code: result.code,
        data: toHex(result.data).toUpperCase(),
        rawLog: result.log,
        gasWanted: result.gasWanted,
        gasUsed: result.gasUsed,
        tx: { typeUrl: "/cosmos.tx.v1beta1.Tx", value: found.tx },
        events: result.events,
      }),
    }).finish();
  };
