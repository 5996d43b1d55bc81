/** cosmos.base.tendermint and cosmos.base.node: the node, its blocks and validator sets. */
import { fromHex, toBase64 } from "@karat/common";
import { params } from "@karat/proto";
import { GetNodeInfoRequest, GetNodeInfoResponse } from "cosmjs-types/cosmos/base/tendermint/v1beta1/query";
import { gasPriceText } from "../../app/services/node.ts";
import type { RpcBlock, RpcStatus, RpcValidators } from "../../engine/rpcTypes.ts";
import { blockJson, validatorSetJson } from "../blocks.ts";
import type { Input } from "../input.ts";
import { toJson } from "../json.ts";
import type { NodeRpc } from "../nodeRpc.ts";
import { pageNumber } from "../pageNumber.ts";
import { ask, get, query, type RestSources } from "../route.ts";
import { restError } from "../status.ts";

const BASE = "/cosmos/base/tendermint/v1beta1";

/** The release of the Cosmos SDK whose paths and shapes these are: explorers choose their dialect by it. */
const DIALECT = "v0.50.0";

async function status(rpc: NodeRpc): Promise<RpcStatus> {
  return (await rpc.call("status", {})) as RpcStatus;
}

async function nodeInfo(sources: RestSources) {
  const { node_info: node } = await status(sources.rpc);
  const request = GetNodeInfoRequest.encode(GetNodeInfoRequest.fromPartial({})).finish();
  const answer = await ask(sources, "/cosmos.base.tendermint.v1beta1.Service/GetNodeInfo", request, 0n);
  const { applicationVersion } = GetNodeInfoResponse.decode(answer.value);
  return {
    default_node_info: {
      protocol_version: node.protocol_version,
      default_node_id: node.id,
      listen_addr: node.listen_addr,
      network: node.network,
      version: node.version,
      channels: toBase64(fromHex(node.channels)),
      moniker: node.moniker,
      other: { tx_index: node.other.tx_index, rpc_address: node.other.rpc_address },
    },
    application_version: {
      ...(toJson(applicationVersion) as Record<string, unknown>),
      cosmos_sdk_version: DIALECT,
    },
  };
}

async function block(rpc: NodeRpc, height: bigint | undefined) {
  const found = (await rpc.call("block", height === undefined ? {} : { height: height.toString() })) as RpcBlock;
  const body = blockJson(found);
  if (body === undefined) throw restError("rest/not-found", `no block of height ${height}`);
  return { body };
}

async function validators(rpc: NodeRpc, input: Input, height: bigint | undefined) {
  const { page, limit } = pageNumber(input);
  const found = await rpc.call("validators", {
    ...(height !== undefined && { height: height.toString() }),
    page: page.toString(),
    per_page: limit.toString(),
  });
  return { body: validatorSetJson(found as RpcValidators) };
}

export const nodeRoutes = [
  get(`${BASE}/node_info`, async (sources) => ({ body: await nodeInfo(sources) })),
  get(`${BASE}/syncing`, async ({ rpc }) => ({ body: { syncing: (await status(rpc)).sync_info.catching_up } })),
  get(`${BASE}/blocks/latest`, ({ rpc }) => block(rpc, undefined)),
  get(`${BASE}/blocks/:height`, ({ rpc }, input) => block(rpc, input.u64("height"))),
  get(`${BASE}/validatorsets/latest`, ({ rpc }, input) => validators(rpc, input, undefined)),
  get(`${BASE}/validatorsets/:height`, ({ rpc }, input) => validators(rpc, input, input.u64("height"))),

  query("/cosmos/base/node/v1beta1/config", {
    method: "/karat.params.v1.Query/Params",
    request: params.QueryParamsRequest,
    response: params.QueryParamsResponse,
    body: ({ params }) => ({
      minimum_gas_price: gasPriceText(params?.minGasPriceMicros ?? 0n),
      pruning_keep_recent: "",
      pruning_interval: "",
      halt_height: "0",
    }),
  }),
];
