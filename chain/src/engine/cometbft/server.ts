import { once } from "node:events";
import { rm } from "node:fs/promises";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { KaratError, type Logger, messageOf, silentLogger } from "@karat/common";
import type { Application } from "../abci.ts";
import { SerialQueue } from "../serial.ts";
import { decodeRequest, dispatch, encodeResponse } from "./dispatch.ts";
import { encodeFrame, FrameDecoder } from "./framing.ts";

export interface AbciServerOptions {
  readonly application: Application;
  /** `tcp://host:port` (port 0 for any free one) or `unix:///path/to.sock`, as CometBFT's `proxy_app` writes it. */
  readonly listen: string;
  readonly log?: Logger;
  /** Ends the server when aborted. */
  readonly signal?: AbortSignal;
  /** Before an exception is answered: CometBFT ends at once on it, and until then still gives the others the votes for the block that they have to end on, too. */
  readonly farewellMs?: number;
}

export interface AbciServer {
  /** Where it listens, in the form of `listen`, with the port it got. */
  readonly address: string;
  /** Resolves once stopped; rejects with the reason when the application failed. */
  readonly finished: Promise<void>;
  stop(): Promise<void>;
}

/** CometBFT opens four connections; a restarting one may briefly have eight. */
const MAX_CONNECTIONS = 16;
const FAREWELL_MS = 1_000;

/**
 * Serves one application to a CometBFT v0.38 over the ABCI socket protocol. Responses come in order on each connection; when the
 * application throws, the asker gets a ResponseException and the server stops: CometBFT exits on it, and so should the node.
 */
export async function serveAbci(options: AbciServerOptions): Promise<AbciServer> {
  const server = new SocketServer(options);
  await server.listen(options.listen);
  options.signal?.addEventListener("abort", () => void server.stop(), { once: true });
  if (options.signal?.aborted) await server.stop();
  return server;
}

type Listen = { readonly path: string } | { readonly host: string; readonly port: number };

function parseListen(text: string): Listen {
  const unix = /^unix:\/\/(\/.+)$/.exec(text);
  if (unix) return { path: unix[1]! };
  const tcp = /^tcp:\/\/(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(text);
  if (!tcp) throw new KaratError("abci/bad-address", "an address is tcp://host:port or unix:///path", { text });
  return { host: tcp[1] ?? tcp[2]!, port: Number(tcp[3]) };
}

class SocketServer implements AbciServer {
  readonly finished: Promise<void>;
  address = "";
  readonly #application: Application;
  readonly #log: Logger;
  readonly #farewellMs: number;
  readonly #queue = new SerialQueue(MAX_CONNECTIONS);
  readonly #connections = new Set<Socket>();
  readonly #server: Server;
  readonly #settle: { resolve: () => void; reject: (reason: unknown) => void };
  #stopping: Promise<void> | undefined;

  constructor({ application, log = silentLogger, farewellMs = FAREWELL_MS }: AbciServerOptions) {
    this.#application = application;
    this.#log = log;
    this.#farewellMs = farewellMs;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.finished = promise;
    this.#settle = { resolve, reject };
    // A server nobody waits for still logs why it stopped.
    promise.catch(() => undefined);
    this.#server = createServer({ allowHalfOpen: true }, (socket) => void this.#serve(socket));
    this.#server.maxConnections = MAX_CONNECTIONS;
  }

  async listen(text: string): Promise<void> {
    const listen = parseListen(text);
    // A socket file that a killed process left behind would make the address look taken.
    if ("path" in listen) await rm(listen.path, { force: true });
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#server.once("error", reject);
    this.#server.listen(listen, resolve);
    await promise.catch((error: unknown) => {
      throw new KaratError("abci/listen", "the ABCI server cannot listen", { address: text }, error);
    });
    const { port } = this.#server.address() as AddressInfo;
    this.address = "path" in listen ? text : text.replace(/\d+$/, String(port));
  }

  stop(): Promise<void> {
    this.#stopping ??= this.#end();
    return this.#stopping;
  }

  async #end(error?: unknown): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const socket of this.#connections) socket.destroy();
    await closed;
    await this.#queue.idle();
    if (error === undefined) this.#settle.resolve();
    else this.#settle.reject(error);
  }

  async #serve(socket: Socket): Promise<void> {
    this.#connections.add(socket);
    socket.setNoDelay(true);
    socket.on("error", (error) => this.#log.debug({ err: error.message }, "an ABCI connection failed"));
    const frames = new FrameDecoder();
    try {
      for await (const chunk of socket as AsyncIterable<Buffer>) {
        const messages = frames.push(chunk);
        // Answers to what came together leave together.
        socket.cork();
        for (const message of messages) await this.#answer(socket, message);
        socket.uncork();
        if (socket.writableNeedDrain) await once(socket, "drain");
      }
    } catch (error) {
      // The other side going away in the middle of a read is how CometBFT exits.
      if (!socket.destroyed || error instanceof KaratError)
        this.#log.warn({ err: messageOf(error) }, "closing an ABCI connection");
    } finally {
      this.#connections.delete(socket);
      socket.destroy();
    }
  }

  async #answer(socket: Socket, message: Uint8Array): Promise<void> {
    try {
      const response = await dispatch(this.#application, this.#queue, decodeRequest(message));
      socket.write(encodeFrame(encodeResponse(response)));
      // A long call must not hold back the answers before it, and a flush is an explicit wish.
      socket.uncork();
      socket.cork();
    } catch (error) {
      this.#log.error({ err: messageOf(error) }, "the application failed: the ABCI server stops");
      await delay(this.#farewellMs);
      const exception = encodeFrame(encodeResponse({ exception: { error: messageOf(error) } }));
      socket.uncork();
      await new Promise<void>((resolve) => socket.write(exception, () => resolve()));
      this.#stopping ??= this.#end(error);
    }
  }
}
