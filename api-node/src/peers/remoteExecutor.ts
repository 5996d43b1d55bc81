import { isKaratError, KaratError, messageOf, utf8 } from "@karat/common";
import { readNdjson } from "@karat/common/http";
import { type Dispatcher, Pool } from "undici";
import { z } from "zod";
import type { Candidate } from "../chain/candidates.ts";
import { KEEP_OPEN, leave } from "../executor/mlNode.ts";
import type { ExecuteLine, ExecuteRequest, Executor } from "../executor/protocol.ts";
import type { PeerAuthentication } from "./authentication.ts";
import { decodeExecuteLine, encodeExecuteRequest } from "./wire.ts";

const MAX_LINE_BYTES = 32 * 1024 * 1024;
const MAX_ERROR_BYTES = 16 * 1024;
const MAX_POOLS = 512;
export const EXECUTE_PATH = "/karat/v1/execute";

const errorBody = z.object({ error: z.object({ code: z.string().nullable(), message: z.string() }) });

/** The peers of this node as executors: one connection pool for each URL, the least recently used closed first. */
export class RemoteExecutors {
  readonly #authentication: PeerAuthentication;
  readonly #pools = new Map<string, Pool>();

  constructor(authentication: PeerAuthentication) {
    this.#authentication = authentication;
  }

  of({ member }: Candidate): Executor {
    return { own: false, execute: (request, signal) => this.#execute(member.operator, member.url, request, signal) };
  }

  async close(): Promise<void> {
    await Promise.all([...this.#pools.values()].map((pool) => pool.destroy()));
    this.#pools.clear();
  }

  async *#execute(
    operator: string,
    url: string,
    request: ExecuteRequest,
    signal: AbortSignal,
  ): AsyncGenerator<ExecuteLine> {
    let reply: Dispatcher.ResponseData | undefined;
    let complete = false;
    try {
      const { pool, prefix } = this.#pool(url);
      const body = utf8(encodeExecuteRequest(request));
      const path = prefix + EXECUTE_PATH;
      const headers = {
        ...this.#authentication.headers(operator, "POST", path, body),
        "content-type": "application/json",
      };
      reply = await pool.request({ method: "POST", path, headers, body, signal });
      if (reply.statusCode !== 200) {
        yield { type: "error", error: await refusal(reply) };
        return;
      }
      for await (const value of readNdjson(reply.body.iterator(KEEP_OPEN), MAX_LINE_BYTES)) {
        const line = decodeExecuteLine(value);
        complete = line.type === "end" || line.type === "busy" || line.type === "error";
        yield line;
      }
    } catch (error) {
      const code = isKaratError(error) ? error.code : "unreachable";
      yield { type: "error", error: { code, message: messageOf(error) } };
    } finally {
      if (reply) leave(reply.body, complete);
    }
  }

  #pool(url: string): { pool: Pool; prefix: string } {
    if (!URL.canParse(url) || !/^https?:/.test(url)) throw new KaratError("unreachable", "The peer has no usable URL.");
    const { origin, pathname } = new URL(url);
    const prefix = pathname.replace(/\/$/, "");
    const known = this.#pools.get(origin);
    if (known) {
      this.#pools.delete(origin);
      this.#pools.set(origin, known);
      return { pool: known, prefix };
    }
    if (this.#pools.size >= MAX_POOLS) this.#evict();
    // Silence is judged by the transfer agent, which knows what it waits for.
    const pool = new Pool(origin, { connections: 256, bodyTimeout: 0, headersTimeout: 0, connectTimeout: 5_000 });
    this.#pools.set(origin, pool);
    return { pool, prefix };
  }

  #evict(): void {
    const [origin, pool] = this.#pools.entries().next().value!;
    this.#pools.delete(origin);
    pool.close().catch(() => undefined);
  }
}

async function refusal(reply: Dispatcher.ResponseData): Promise<{ code: string; message: string }> {
  let text = "";
  for await (const chunk of reply.body) {
    text += String(chunk);
    if (text.length > MAX_ERROR_BYTES) break;
  }
  try {
    const { code, message } = errorBody.parse(JSON.parse(text)).error;
    return { code: code ?? "refused", message };
  } catch {
    return { code: "refused", message: `status ${reply.statusCode}` };
  }
}
