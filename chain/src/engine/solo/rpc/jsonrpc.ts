import { isKaratError, messageOf } from "@karat/common";
import type { Method, RpcContext } from "./context.ts";
import { blockMethods } from "./methods-blocks.ts";
import { nodeMethods } from "./methods-node.ts";
import { txMethods } from "./methods-txs.ts";
import { jsonParams, uriParams } from "./params.ts";

/** Every method that HTTP and websocket both serve. */
export const METHODS: ReadonlyMap<string, Method> = new Map(
  Object.entries({ ...nodeMethods, ...blockMethods, ...txMethods }),
);

export type Id = string | number;

export interface RpcReply {
  readonly jsonrpc: "2.0";
  readonly id?: Id;
  readonly result?: unknown;
  readonly error?: { readonly code: number; readonly message: string; readonly data?: string };
}

/** A call as it came; `id` is absent in a notification. */
export interface RpcCall {
  readonly id?: Id;
  readonly method: string;
  readonly params?: unknown;
}

export const success = (id: Id, result: unknown): RpcReply => ({ jsonrpc: "2.0", id, result });

const failure = (id: Id | undefined, code: number, message: string, data?: string): RpcReply => ({
  jsonrpc: "2.0",
  ...(id === undefined ? {} : { id }),
  error: { code, message, ...(data === undefined ? {} : { data }) },
});

export const parseError = (reason: string): RpcReply =>
  failure(undefined, -32700, "Parse error. Invalid JSON", `error unmarshaling request: ${reason}`);
export const invalidRequest = (id: Id | undefined, reason: string) => failure(id, -32600, "Invalid Request", reason);
export const methodNotFound = (id: Id) => failure(id, -32601, "Method not found");

/** The reply to anything a method threw; `source` says how the parameters came. */
export function errorReply(id: Id, error: unknown, source: "json" | "http"): RpcReply {
  return isKaratError(error, "rpc/invalid-params")
    ? failure(id, -32602, "Invalid params", `error converting ${source} params to arguments: ${error.message}`)
    : failure(id, -32603, "Internal error", messageOf(error));
}

/** Reads one call from parsed JSON; undefined when it is not one. An id of another type than text or number counts as none. */
export function readCall(json: unknown): RpcCall | undefined {
  if (typeof json !== "object" || json === null || Array.isArray(json)) return undefined;
  const { id, method, params } = json as Record<string, unknown>;
  if (typeof method !== "string") return undefined;
  return { method, params, ...(typeof id === "string" || typeof id === "number" ? { id } : {}) };
}

/** Answers one JSON-RPC call; undefined for a notification, which is not even run. */
export async function answer(context: RpcContext, call: RpcCall): Promise<RpcReply | undefined> {
  if (call.id === undefined) return undefined;
  const method = METHODS.get(call.method);
  if (!method) return methodNotFound(call.id);
  try {
    return success(call.id, await method.call(context, jsonParams(method.params, call.params) as never));
  } catch (error) {
    return errorReply(call.id, error, "json");
  }
}

/** URI calls carry no id; CometBFT answers them with this one. */
const URI_ID = -1;

/** Answers a URI call. */
export async function answerUri(context: RpcContext, method: Method, query: URLSearchParams): Promise<RpcReply> {
  try {
    return success(URI_ID, await method.call(context, uriParams(method.params, query) as never));
  } catch (error) {
    return errorReply(URI_ID, error, "http");
  }
}
