import { silentLogger } from "@karat/common";
import { AppHarness, sendMessage } from "../../app/testing/index.ts";
import { LOCALNET_PARAMS } from "../../modules/params/index.ts";
import { applicationQuery } from "../applicationQuery.ts";
import type { NodeRpc } from "../nodeRpc.ts";
import { type RestServer, startRest } from "../server.ts";
import { restError } from "../status.ts";
import { type Answer, get } from "./client.ts";

/** A node that is down. */
export const silentNode: NodeRpc = {
  async call() {
    throw restError("rest/unavailable", "the node does not answer");
  },
};

export interface Served {
  readonly chain: AppHarness;
  readonly rest: RestServer;
  ask(path: string, headers?: Record<string, string>): Promise<Answer>;
}

/** REST over an application without an engine: three participants, two clients with deposits, and one transfer of 5 ukarat. */
export async function serve(): Promise<Served> {
  const chain = new AppHarness({ participants: 3, clients: 2, clientDeposit: 1_000_000n, params: LOCALNET_PARAMS });
  // An account has its key on the chain once it has signed.
  chain.execute(chain.rich, sendMessage(chain.rich, chain.clients[0]!, 5n));
  const rest = await startRest({
    listen: { host: "127.0.0.1", port: 0 },
    query: applicationQuery(() => chain.app),
    rpc: silentNode,
    log: silentLogger,
  });
  return { chain, rest, ask: (path, headers) => get(rest.url, path, headers) };
}
