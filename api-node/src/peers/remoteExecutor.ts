import { isKaratError, KaratError, messageOf, utf8 } from "@karat/common";
import { Pool } from "undici";
import { z } from "zod";
import type { Candidate } from "../chain/candidates.ts";
import { type ExecuteLine, type ExecuteRequest, type Executor, isLastLine } from "../executor/protocol.ts";
import { JsonLines } from "../http/jsonLines.ts";
import type { PeerAuthentication } from "./authentication.ts";
import { decodeExecuteLine, encodeExecuteRequest } from "./wire.ts";

const MAX_LINE_BYTES = 32 * 1024 * 1024;
const MAX_POOLS = 512;
export const EXECUTE_PATH = "/karat/v1/execute";

const errorBody = z.object({ error: z.object({ code: z.string().nullable(), message: z.string() }) });

interface Peer {
  readonly pool: Pool;
  /** Of paths, without a slash at its end. */
  readonly prefix: string;
}

/** The peers of this node as executors: one connection pool for each URL, the least recently used closed first. */
export class RemoteExecutors {
  readonly #authentication: PeerAuthentication;
  readonly #pools = new Map<string, Peer>();

  constructor(authentication: PeerAuthentication) {
    this.#authentication = authentication;
  }

  of({ member }: Candidate): Executor {
    return { own: false, execute: (request, signal) => this.#execute(member.operator, member.url, request, signal) };
  }

  async close(): Promise<void> {
    await Promise.all([...this.#pools.values()].map(({ pool }) => pool.destroy()));
    this.#pools.clear();
  }

  async *#execute(
    operator: string,
    url: string,
    request: ExecuteRequest,
    signal: AbortSignal,
  ): AsyncGenerator<readonly ExecuteLine[]> {
    let lines: JsonLines | undefined;
    let complete = false;
    try {
      const { pool, prefix } = this.#pool(url);
      const body = utf8(encodeExecuteRequest(request));
      const path = prefix + EXECUTE_PATH;
      const headers = {
        ...this.#authentication.headers(operator, "POST", path, body),
        "content-type": "application/json",
      };
      lines = new JsonLines(pool, { path, headers, body, signal, maxLineBytes: MAX_LINE_BYTES });
      const status = await lines.status();
      if (status !== 200) {
        const error = refusal(status, await lines.text());
        complete = true;
        yield [{ type: "error", error }];
        return;
      }
      for (;;) {
        const batch = (await lines.read()).map(decodeExecuteLine);
        if (batch.length === 0) return;
        complete = isLastLine(batch.at(-1));
        yield batch;
      }
    } catch (error) {
      const code = isKaratError(error) ? error.code : "unreachable";
      yield [{ type: "error", error: { code, message: messageOf(error) } }];
    } finally {
      lines?.close(complete);
    }
  }

  #pool(url: string): Peer {
    const known = this.#pools.get(url);
    if (known) {
      this.#pools.delete(url);
      this.#pools.set(url, known);
      return known;
    }
    if (!URL.canParse(url) || !/^https?:/.test(url)) throw new KaratError("unreachable", "The peer has no usable URL.");
    const { origin, pathname } = new URL(url);
    if (this.#pools.size >= MAX_POOLS) this.#evict();
    // Silence is judged by the transfer agent, which knows what it waits for.
    const pool = new Pool(origin, { connections: 256, bodyTimeout: 0, headersTimeout: 0, connectTimeout: 5_000 });
    const peer = { pool, prefix: pathname.replace(/\/$/, "") };
    this.#pools.set(url, peer);
    return peer;
  }

  #evict(): void {
    const [url, { pool }] = this.#pools.entries().next().value!;
    this.#pools.delete(url);
    pool.close().catch(() => undefined);
  }
}

function refusal(status: number, text: string): { code: string; message: string } {
  try {
    const { code, message } = errorBody.parse(JSON.parse(text)).error;
    return { code: code ?? "refused", message };
  } catch {
    return { code: "refused", message: `status ${status}` };
  }
}
