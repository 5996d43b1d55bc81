/** Asking single nodes, by their RPC. */
import { ChainClient } from "@karat/client";
import type { TestNode } from "../../chain/src/cli/testing/nodes.ts";
import type { RpcStatus } from "../../chain/src/engine/rpcTypes.ts";
import { rpc } from "../../chain/src/engine/testing/rpc-client.ts";

export const statusOf = async (node: TestNode): Promise<RpcStatus> =>
  (await rpc(node.rpc, "status")).result as RpcStatus;

export const heightOf = async (node: TestNode): Promise<number> =>
  Number((await statusOf(node)).sync_info.latest_block_height);

export async function asked<T>(node: TestNode, ask: (client: ChainClient) => Promise<T>): Promise<T> {
  const client = await ChainClient.connect(node.rpc);
  try {
    return await ask(client);
  } finally {
    client.close();
  }
}
