import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { KaratError } from "@karat/common";
import { createRest, type RestLimits } from "./app.ts";
import type { RestSources } from "./route.ts";

export interface RestOptions extends RestSources {
  /** Port 0 takes any free one. */
  readonly listen: { readonly host: string; readonly port: number };
  readonly limits?: Partial<RestLimits>;
}

export interface RestServer {
  /** `http://host:port`. */
  readonly url: string;
  /** Ends every connection and waits for it. Safe to call twice. */
  stop(): Promise<void>;
}

const MAX_CONNECTIONS = 900;
const HEADERS_TIMEOUT_MS = 10_000;
const REQUEST_TIMEOUT_MS = 30_000;

/** Serves REST. Throws `rest-listen` where the port cannot be had. */
export async function startRest({ listen, limits, ...sources }: RestOptions): Promise<RestServer> {
  const timeouts = { headersTimeout: HEADERS_TIMEOUT_MS, requestTimeout: REQUEST_TIMEOUT_MS };
  const server = createServer(timeouts, createRest(sources, limits));
  server.maxConnections = MAX_CONNECTIONS;
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once("error", reject);
  server.listen(listen.port, listen.host, resolve);
  await promise.catch((error: unknown) => {
    throw new KaratError("rest-listen", "REST cannot listen", { ...listen }, error);
  });
  return {
    url: `http://${listen.host}:${(server.address() as AddressInfo).port}`,
    async stop() {
      if (!server.listening) return;
      const closed = new Promise<void>((done) => server.close(() => done()));
      server.closeAllConnections();
      await closed;
    },
  };
}
