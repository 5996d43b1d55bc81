import { messageOf } from "@karat/common";
import { invalidArgument, restError } from "./status.ts";

/**
 * CometBFT's JSON-RPC, as both engines serve it. Throws `rest/unavailable` where the node does not answer, `rest/too-large`
 * for an answer beyond the bound, and `rest/invalid-argument` with the node's reason where it refuses the call.
 */
export interface NodeRpc {
  call(method: string, params: Readonly<Record<string, unknown>>): Promise<unknown>;
}

export interface NodeRpcOptions {
  readonly timeoutMs?: number;
  readonly maxAnswerBytes?: number;
}

const TIMEOUT_MS = 10_000;
/** A block of 4 MiB in base64 with its results, several times over. */
const MAX_ANSWER_BYTES = 32 * 1024 * 1024;

interface JsonRpcReply {
  readonly result?: unknown;
  readonly error?: { readonly message?: string; readonly data?: string };
}

/** Over HTTP; `url` is asked for at each call, because the node may not listen yet. */
export function httpNodeRpc(url: () => string | undefined, options: NodeRpcOptions = {}): NodeRpc {
  const { timeoutMs = TIMEOUT_MS, maxAnswerBytes = MAX_ANSWER_BYTES } = options;
  return {
    async call(method, params) {
      const endpoint = url();
      if (endpoint === undefined) throw restError("rest/unavailable", "the node is starting");
      const body = JSON.stringify({ jsonrpc: "2.0", id: 1, method, params });
      const reply = await post(endpoint, body, timeoutMs, maxAnswerBytes);
      if (reply.error !== undefined) {
        throw invalidArgument(reply.error.data ?? reply.error.message ?? "the node refuses", { method });
      }
      return reply.result;
    },
  };
}

async function post(url: string, body: string, timeoutMs: number, maxBytes: number): Promise<JsonRpcReply> {
  let text: string | undefined;
  try {
    const headers = { "content-type": "application/json" };
    const response = await fetch(url, { method: "POST", headers, body, signal: AbortSignal.timeout(timeoutMs) });
    text = await readText(response, maxBytes);
    if (text !== undefined) return JSON.parse(text) as JsonRpcReply;
  } catch (error) {
    throw restError("rest/unavailable", "the node does not answer", { reason: messageOf(error) }, error);
  }
  throw restError("rest/too-large", "the answer is too large: ask for less", { maxBytes });
}

/** The whole body; undefined where it is larger than the bound, and the rest is not read. */
async function readText(response: Response, maxBytes: number): Promise<string | undefined> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of response.body ?? []) {
    size += chunk.length;
    if (size > maxBytes) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}
