import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { messageOf } from "@karat/common";
import { type WebSocket, WebSocketServer } from "ws";
import type { RpcContext } from "./context.ts";
import { answer, errorReply, parseError, type RpcCall, type RpcReply, readCall, success } from "./jsonrpc.ts";
import { jsonParams } from "./params.ts";
import { Subscriptions } from "./subscriptions.ts";

const MAX_CLIENTS = 100;
const MAX_MESSAGE_BYTES = 1024 * 1024;
/** A client this far behind is closed rather than buffered for. */
const MAX_BACKLOG_BYTES = 16 * 1024 * 1024;
const PING_INTERVAL_MS = 27_000;

/** The websocket side of the RPC: every method, and subscriptions. */
export class WebsocketRpc {
  readonly #context: RpcContext;
  readonly #server = new WebSocketServer({ noServer: true, maxPayload: MAX_MESSAGE_BYTES });
  readonly #pings: NodeJS.Timeout;

  constructor(context: RpcContext) {
    this.#context = context;
    this.#pings = setInterval(() => {
      for (const client of this.#server.clients) client.ping();
    }, PING_INTERVAL_MS).unref();
  }

  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    if (this.#server.clients.size >= MAX_CLIENTS) {
      socket.end("HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\n\r\n");
      return;
    }
    this.#server.handleUpgrade(request, socket, head, (client) => this.#serve(client));
  }

  #serve(client: WebSocket): void {
    const send = (reply: RpcReply) => {
      if (client.bufferedAmount > MAX_BACKLOG_BYTES) client.terminate();
      else client.send(JSON.stringify(reply));
    };
    const subscriptions = new Subscriptions(this.#context.events, send);
    client.on("message", (data: Buffer) => {
      this.#handle(data.toString(), subscriptions).then(
        (reply) => reply && send(reply),
        (error: unknown) => this.#context.log.error({ err: messageOf(error) }, "a websocket call failed"),
      );
    });
    client.on("close", () => subscriptions.close());
    client.on("error", (error: Error) => this.#context.log.debug({ err: error.message }, "a websocket failed"));
  }

  async #handle(text: string, subscriptions: Subscriptions): Promise<RpcReply | undefined> {
    let call: RpcCall | undefined;
    try {
      call = readCall(JSON.parse(text));
    } catch (error) {
      return parseError(messageOf(error));
    }
    if (call?.id === undefined) return undefined;
    const done = this.#subscription(call.id, call, subscriptions);
    return done ?? answer(this.#context, call);
  }

  /** Answers the three methods that only a websocket has; undefined for any other. */
  #subscription(id: string | number, call: RpcCall, subscriptions: Subscriptions): RpcReply | undefined {
    try {
      const query = () => jsonParams({ query: "string" }, call.params).query ?? "";
      if (call.method === "subscribe") subscriptions.add(id, query());
      else if (call.method === "unsubscribe") subscriptions.remove(query());
      else if (call.method === "unsubscribe_all") subscriptions.removeAll();
      else return undefined;
      return success(id, {});
    } catch (error) {
      return errorReply(id, error, "json");
    }
  }

  async close(): Promise<void> {
    clearInterval(this.#pings);
    for (const client of this.#server.clients) client.terminate();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }
}
