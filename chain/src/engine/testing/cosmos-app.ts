import { BaseAccount } from "cosmjs-types/cosmos/auth/v1beta1/auth";
import { QueryAccountRequest, QueryAccountResponse } from "cosmjs-types/cosmos/auth/v1beta1/query";
import { GasInfo, TxMsgData } from "cosmjs-types/cosmos/base/abci/v1beta1/abci";
import { SimulateResponse } from "cosmjs-types/cosmos/tx/v1beta1/service";
import { TxBody, TxRaw } from "cosmjs-types/cosmos/tx/v1beta1/tx";
import type {
  RequestCheckTx,
  RequestFinalizeBlock,
  RequestQuery,
  ResponseCheckTx,
  ResponseFinalizeBlock,
} from "cosmjs-types/tendermint/abci/types";
import {
  ResponseCheckTx as CheckTx,
  ExecTxResult,
  ResponseFinalizeBlock as FinalizeBlock,
  ResponseQuery,
} from "cosmjs-types/tendermint/abci/types";
import { KvApp } from "./kv-app.ts";

const GAS_USED = 50_000n;

/**
 * The key-value application with just enough of Cosmos around it that an unmodified SigningStargateClient goes its whole way:
 * an account for whoever asks, simulation, and transactions of which only the memo is looked at.
 */
export class CosmosApp extends KvApp {
  #sequence = 0n;

  override query(request: RequestQuery): ResponseQuery {
    const height = this.info().lastBlockHeight;
    if (request.path === "/cosmos.auth.v1beta1.Query/Account") {
      const { address } = QueryAccountRequest.decode(request.data);
      const account = BaseAccount.fromPartial({ address, accountNumber: 1n, sequence: this.#sequence });
      const any = { typeUrl: "/cosmos.auth.v1beta1.BaseAccount", value: BaseAccount.encode(account).finish() };
      return ResponseQuery.fromPartial({ value: QueryAccountResponse.encode({ account: any }).finish(), height });
    }
    if (request.path === "/cosmos.tx.v1beta1.Service/Simulate") {
      const gasInfo = GasInfo.fromPartial({ gasWanted: GAS_USED, gasUsed: GAS_USED });
      return ResponseQuery.fromPartial({ value: SimulateResponse.encode({ gasInfo }).finish(), height });
    }
    return super.query(request);
  }

  override checkTx(request: RequestCheckTx): ResponseCheckTx {
    return memoOf(request.tx) === undefined ? super.checkTx(request) : CheckTx.fromPartial({ gasWanted: GAS_USED });
  }

  override finalizeBlock(request: RequestFinalizeBlock): ResponseFinalizeBlock {
    const memos = request.txs.map(memoOf);
    const inner = super.finalizeBlock({ ...request, txs: memos.map((memo) => Buffer.from(`memo=${memo ?? ""}`)) });
    this.#sequence += BigInt(memos.length);
    const data = TxMsgData.encode(TxMsgData.fromPartial({})).finish();
    const txResults = inner.txResults.map((result) =>
      ExecTxResult.fromPartial({ ...result, data, gasWanted: GAS_USED }),
    );
    return FinalizeBlock.fromPartial({ ...inner, txResults });
  }
}

function memoOf(tx: Uint8Array): string | undefined {
  try {
    const { bodyBytes, authInfoBytes } = TxRaw.decode(tx);
    return authInfoBytes.length > 0 ? TxBody.decode(bodyBytes).memo : undefined;
  } catch {
    return undefined;
  }
}
