/** A JSON-RPC reply or, on a websocket, an event. */
export interface Reply {
  readonly id?: string | number;
  readonly result?: unknown;
  readonly error?: { readonly code: number; readonly message: string; readonly data?: string };
}

export async function post(url: string, body: string): Promise<{ status: number; body: string }> {
  const reply = await fetch(url, { method: "POST", headers: { "content-type": "application/json" }, body });
  return { status: reply.status, body: await reply.text() };
}

export async function get(url: string, path: string): Promise<{ status: number; body: string }> {
  const reply = await fetch(`${url}${path}`);
  return { status: reply.status, body: await reply.text() };
}

/** One call with id 1. */
export async function rpc(url: string, method: string, params: unknown = {}): Promise<Reply> {
  return JSON.parse((await post(url, JSON.stringify({ jsonrpc: "2.0", id: 1, method, params }))).body) as Reply;
}

/** A bare websocket client that keeps every reply, so that tests see what really came. */
export class WsClient {
  readonly #socket: WebSocket;
  readonly #replies: Reply[] = [];
  #arrived = Promise.withResolvers<void>();

  static async connect(url: string): Promise<WsClient> {
    const socket = new WebSocket(`${url.replace("http", "ws")}/websocket`);
    await new Promise<void>((resolve, reject) => {
      socket.addEventListener("open", () => resolve(), { once: true });
      socket.addEventListener("error", () => reject(new Error("the websocket did not open")), { once: true });
    });
    return new WsClient(socket);
  }

  private constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.addEventListener("message", (message) => {
      this.#replies.push(JSON.parse(String(message.data)) as Reply);
      this.#arrived.resolve();
      this.#arrived = Promise.withResolvers();
    });
  }

  /** Sends a call and waits for its reply: the first with this id that is not an event. */
  async call(id: number, method: string, params: unknown = {}): Promise<Reply> {
    const from = this.#replies.length;
    this.#socket.send(JSON.stringify({ jsonrpc: "2.0", id, method, params }));
    return this.#first((reply) => reply.id === id && !isEvent(reply), from);
  }

  /** The first event that satisfies the predicate, past ones included. */
  event(wanted: (reply: Reply) => boolean): Promise<Reply> {
    return this.#first((reply) => isEvent(reply) && wanted(reply), 0);
  }

  async #first(wanted: (reply: Reply) => boolean, from: number): Promise<Reply> {
    for (let at = from; ; at++) {
      while (at >= this.#replies.length) await this.#arrived.promise;
      if (wanted(this.#replies[at]!)) return this.#replies[at]!;
    }
  }

  send(text: string): void {
    this.#socket.send(text);
  }

  /** Resolves when the other side has closed the connection. */
  closed(): Promise<void> {
    return new Promise((resolve) => this.#socket.addEventListener("close", () => resolve(), { once: true }));
  }

  close(): void {
    this.#socket.close();
  }
}

const isEvent = ({ result }: Reply) => typeof result === "object" && result !== null && "query" in result;
