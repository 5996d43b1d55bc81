import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { KaratError, messageOf } from "@karat/common";
import type { RpcContext } from "./context.ts";
import {
  answer,
  answerUri,
  invalidRequest,
  METHODS,
  methodNotFound,
  parseError,
  type RpcReply,
  readCall,
} from "./jsonrpc.ts";
import { WebsocketRpc } from "./websocket.ts";

const MAX_BODY_BYTES = 1024 * 1024;
const MAX_BATCH = 100;
/** CometBFT's default. */
const MAX_CONNECTIONS = 900;

const CORS = {
  "access-control-allow-origin": "*",
  "access-control-allow-methods": "HEAD, GET, POST",
  "access-control-allow-headers": "origin, accept, content-type, x-requested-with, x-server-time",
};

/** The CometBFT RPC on one HTTP server: JSON-RPC by POST, URI calls by GET, websocket at `/websocket`. */
export class RpcServer {
  readonly #context: RpcContext;
  readonly #http: Server;
  readonly #websocket: WebsocketRpc;

  constructor(context: RpcContext) {
    this.#context = context;
    this.#websocket = new WebsocketRpc(context);
    this.#http = createServer((request, response) => {
      this.#serve(request, response).catch((error: unknown) => {
        // Mostly a client that went away in the middle of its request.
        context.log.debug({ err: messageOf(error) }, "an RPC request broke off");
        response.destroy();
      });
    });
    this.#http.maxConnections = MAX_CONNECTIONS;
    this.#http.on("upgrade", (request, socket, head) => {
      if (new URL(request.url ?? "/", "http://rpc").pathname === "/websocket") {
        this.#websocket.upgrade(request, socket, head);
      } else socket.end("HTTP/1.1 404 Not Found\r\nConnection: close\r\n\r\n");
    });
  }

  /** Resolves with the port; throws `engine/rpc-listen` when it cannot be had. */
  async listen(host: string, port: number): Promise<number> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#http.once("error", reject);
    this.#http.listen(port, host, resolve);
    await promise.catch((error: unknown) => {
      throw new KaratError("engine/rpc-listen", "the RPC cannot listen", { host, port }, error);
    });
    return (this.#http.address() as AddressInfo).port;
  }

  async close(): Promise<void> {
    await this.#websocket.close();
    this.#http.closeAllConnections();
    if (this.#http.listening) await new Promise<void>((resolve) => this.#http.close(() => resolve()));
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? "/", "http://rpc");
    if (request.method === "OPTIONS") response.writeHead(204, CORS).end();
    else if (request.method === "POST") await this.#post(request, response, url.pathname);
    else if (request.method === "GET" || request.method === "HEAD") await this.#get(response, url);
    else text(response, 405, "method not allowed\n");
  }

  async #get(response: ServerResponse, url: URL): Promise<void> {
    if (url.pathname === "/") return html(response, endpointList());
    const method = METHODS.get(url.pathname.slice(1));
    if (!method) return text(response, 404, "404 page not found\n");
    const reply = await answerUri(this.#context, method, url.searchParams);
    json(response, reply.error ? 500 : 200, reply);
  }

  async #post(request: IncomingMessage, response: ServerResponse, path: string): Promise<void> {
    const body = await readBody(request);
    if (body === undefined) {
      // The rest of the body is not read: the connection cannot be used again.
      response.setHeader("connection", "close");
      return json(response, 400, invalidRequest(undefined, "error reading request body: http: request body too large"));
    }
    if (body.length === 0) return html(response, endpointList());
    let parsed: unknown;
    try {
      parsed = JSON.parse(body.toString());
    } catch (error) {
      return json(response, 500, parseError(messageOf(error)));
    }
    if (Array.isArray(parsed) && parsed.length > MAX_BATCH) {
      return json(response, 200, invalidRequest(undefined, `a batch may have ${MAX_BATCH} calls`));
    }
    const replies: RpcReply[] = [];
    for (const item of Array.isArray(parsed) ? parsed : [parsed]) {
      const reply = await this.#call(item, path);
      if (reply) replies.push(reply);
    }
    if (replies.length === 0) response.writeHead(200, CORS).end();
    else json(response, 200, replies.length === 1 ? replies[0] : replies);
  }

  async #call(item: unknown, path: string): Promise<RpcReply | undefined> {
    const call = readCall(item);
    if (call?.id !== undefined && path !== "/") return invalidRequest(call.id, `path ${path} is invalid`);
    if (call) return answer(this.#context, call);
    const id = (item as { id?: unknown } | null)?.id;
    return typeof id === "string" || typeof id === "number" ? methodNotFound(id) : undefined;
  }
}

/** The whole body, or undefined when it is too large. */
async function readBody(request: IncomingMessage): Promise<Buffer | undefined> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > MAX_BODY_BYTES) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function json(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { ...CORS, "content-type": "application/json" }).end(JSON.stringify(body));
}

function text(response: ServerResponse, status: number, body: string): void {
  response.writeHead(status, { ...CORS, "content-type": "text/plain; charset=utf-8" }).end(body);
}

function html(response: ServerResponse, body: string): void {
  response.writeHead(200, { ...CORS, "content-type": "text/html; charset=utf-8" }).end(body);
}

function endpointList(): string {
  const links = [...METHODS].map(([name, { params }]) => {
    const query = Object.keys(params)
      .map((key) => `${key}=_`)
      .join("&amp;");
    return `<li>/${name}${query === "" ? "" : `?${query}`}</li>`;
  });
  return `<html><body><h1>Endpoints</h1><ul>${links.join("")}</ul></body></html>`;
}
