/** Of cosmos.base.tendermint and cosmos.base.node what only the engine knows, as ABCI queries. */
import { toBech32 } from "@cosmjs/encoding";
import { ADDRESS_PREFIX, fromBase64, fromHex } from "@karat/common";
import { StatusResponse } from "cosmjs-types/cosmos/base/node/v1beta1/query";
import { PageRequest } from "cosmjs-types/cosmos/base/query/v1beta1/pagination";
import {
  GetLatestValidatorSetRequest,
  GetLatestValidatorSetResponse,
  GetSyncingResponse,
  GetValidatorSetByHeightRequest,
  GetValidatorSetByHeightResponse,
} from "cosmjs-types/cosmos/base/tendermint/v1beta1/query";
import { PubKey } from "cosmjs-types/cosmos/crypto/ed25519/keys";
import type { RpcStatus, RpcValidators } from "../engine/rpcTypes.ts";
import type { NodeRpc } from "./nodeRpc.ts";
import { pageOf } from "./pageNumber.ts";

type Answering = (rpc: NodeRpc, request: Uint8Array) => Promise<Uint8Array>;

const TENDERMINT = "/cosmos.base.tendermint.v1beta1.Service";

export const NODE_QUERIES: Readonly<Record<string, Answering>> = {
  [`${TENDERMINT}/GetSyncing`]: async (rpc) =>
    GetSyncingResponse.encode({ syncing: (await status(rpc)).sync_info.catching_up }).finish(),

  [`${TENDERMINT}/GetLatestValidatorSet`]: async (rpc, request) => {
    const { pagination } = GetLatestValidatorSetRequest.decode(request);
    return GetLatestValidatorSetResponse.encode(await validatorSet(rpc, pagination)).finish();
  },

  [`${TENDERMINT}/GetValidatorSetByHeight`]: async (rpc, request) => {
    const { height, pagination } = GetValidatorSetByHeightRequest.decode(request);
    return GetValidatorSetByHeightResponse.encode(await validatorSet(rpc, pagination, height)).finish();
  },

  "/cosmos.base.node.v1beta1.Service/Status": async (rpc) => {
    const { sync_info: sync } = await status(rpc);
    return StatusResponse.encode(
      StatusResponse.fromPartial({
        earliestStoreHeight: BigInt(sync.earliest_block_height),
        height: BigInt(sync.latest_block_height),
        appHash: fromHex(sync.latest_app_hash),
      }),
    ).finish();
  },
};

const status = async (rpc: NodeRpc): Promise<RpcStatus> => (await rpc.call("status", {})) as RpcStatus;

async function validatorSet(rpc: NodeRpc, asked: PageRequest | undefined, height?: bigint) {
  const { page, limit } = pageOf(asked ?? PageRequest.fromPartial({}));
  const found = (await rpc.call("validators", {
    ...(height !== undefined && { height: height.toString() }),
    page: page.toString(),
    per_page: limit.toString(),
  })) as RpcValidators;
  return GetLatestValidatorSetResponse.fromPartial({
    blockHeight: BigInt(found.block_height),
    validators: found.validators.map((each) => ({
      address: toBech32(`${ADDRESS_PREFIX}valcons`, fromHex(each.address)),
      pubKey: {
        typeUrl: "/cosmos.crypto.ed25519.PubKey",
        value: PubKey.encode({ key: fromBase64(each.pub_key.value) }).finish(),
      },
      votingPower: BigInt(each.voting_power),
      proposerPriority: BigInt(each.proposer_priority),
    })),
    pagination: { total: BigInt(found.total) },
  });
}
