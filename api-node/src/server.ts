import type { RequestListener } from "node:http";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { KaratError } from "@karat/common";
import { CORS_HEADERS, requestIdOf, sendError } from "./transferAgent/httpAnswer.ts";

export type Route = (request: IncomingMessage, response: ServerResponse) => Promise<void>;

export interface ServerOptions {
  /** Routes taken before Express: the requests that are many. By "METHOD /path". */
  readonly hot: ReadonlyMap<string, Route>;
  /** Everything else. */
  readonly other: RequestListener;
}

export interface ListeningServer {
  readonly port: number;
  /** Takes no new requests and resolves when the running ones are done, or were cut off after `withinMs`. */
  close(withinMs: number): Promise<void>;
}

const CORS_PREFLIGHT: Readonly<Record<string, string>> = {
  ...CORS_HEADERS,
  "access-control-allow-methods": "GET, POST, OPTIONS",
  "access-control-allow-headers": "*, authorization",
  "access-control-max-age": "86400",
};

/** Starts to listen. Throws what the operating system says when it cannot. */
export async function listen(options: ServerOptions, host: string, port: number): Promise<ListeningServer> {
  let draining = false;
  const server = createServer((request, response) => {
    if (draining) {
      response.setHeader("connection", "close");
      sendError(response, new KaratError("shutting_down", "This node is shutting down.", { retry_after_s: 1 }));
      return;
    }
    if (request.method === "OPTIONS") {
      response.writeHead(204, CORS_PREFLIGHT).end();
      return;
    }
    const path = request.url?.split("?", 1)[0];
    const hot = options.hot.get(`${request.method} ${path}`);
    if (hot) {
      void hot(request, response);
      return;
    }
    for (const [name, value] of Object.entries(CORS_HEADERS)) response.setHeader(name, value);
    response.setHeader("x-request-id", requestIdOf(request));
    options.other(request, response);
  });
  server.keepAliveTimeout = 65_000; // longer than the usual minute of proxies, so that they close first
  server.requestTimeout = 60_000;
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, host, resolve);
  });
  return {
    port: (server.address() as AddressInfo).port,
    close: async (withinMs) => {
      draining = true;
      await closeServer(server, withinMs);
    },
  };
}

async function closeServer(server: Server, withinMs: number): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  // Connections become idle one by one as their requests end; clients would keep them open.
  const sweep = setInterval(() => server.closeIdleConnections(), 50);
  const cut = setTimeout(() => server.closeAllConnections(), withinMs);
  await closed;
  clearInterval(sweep);
  clearTimeout(cut);
}
