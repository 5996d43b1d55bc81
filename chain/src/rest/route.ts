import type { Logger } from "@karat/common";
import type { ResponseQuery } from "cosmjs-types/tendermint/abci/types";
import type { Formats } from "./formats.ts";
import type { Input } from "./input.ts";
import { toJson } from "./json.ts";
import type { NodeRpc } from "./nodeRpc.ts";
import { abciError } from "./status.ts";

export type QueryAnswer = Pick<ResponseQuery, "code" | "codespace" | "log" | "value" | "height">;

/** An ABCI query by its gRPC name; height 0 is the last block. */
export type QueryApplication = (path: string, data: Uint8Array, height: bigint) => QueryAnswer | Promise<QueryAnswer>;

/** What answers come from. */
export interface RestSources {
  readonly query: QueryApplication;
  /** CometBFT's RPC: blocks, validator sets, transactions. */
  readonly rpc: NodeRpc;
  readonly log: Logger;
}

export interface Reply {
  readonly body: unknown;
  /** Of the state it was answered from, where there is one. */
  readonly height?: bigint;
}

/** One path. `pattern` is express's. */
export interface Route {
  readonly method: "get" | "post";
  readonly pattern: string;
  answer(sources: RestSources, input: Input, body: unknown): Promise<Reply>;
}

export const get = (pattern: string, answer: Route["answer"]): Route => ({ method: "get", pattern, answer });
export const post = (pattern: string, answer: Route["answer"]): Route => ({ method: "post", pattern, answer });

/** A path that always says the same, once its parameters are found to be right. */
export const constant = (pattern: string, body: (input: Input) => unknown): Route =>
  get(pattern, async (_, input) => ({ body: body(input) }));

/** A path that is one ABCI query, by its gRPC name. */
export interface QueryRoute extends Route {
  readonly query: string;
  readonly formats: Formats;
}

interface RequestType<T> {
  fromPartial(fields: object): T;
  encode(message: T): { finish(): Uint8Array };
}

interface QueryOptions<Request, Response> {
  /** `/<service>/<method>`. */
  readonly method: string;
  readonly request: RequestType<Request>;
  readonly response: { decode(bytes: Uint8Array): Response };
  /** The request's fields; none without it. */
  readonly fields?: (input: Input) => Partial<Request>;
  readonly formats?: Formats;
  /** The body, where it is not simply the response. */
  readonly body?: (response: Response, input: Input) => unknown;
}

/** A path that is one ABCI query, at the height that the request's header names. */
export function query<Request, Response extends object>(
  pattern: string,
  { method, request, response, fields, formats, body }: QueryOptions<Request, Response>,
): QueryRoute {
  return {
    ...get(pattern, async (sources, input) => {
      const data = request.encode(request.fromPartial(fields?.(input) ?? {})).finish();
      const answer = await ask(sources, method, data, input.height());
      const message = response.decode(answer.value);
      return { body: body === undefined ? toJson(message, formats) : body(message, input), height: answer.height };
    }),
    query: method,
    formats: formats ?? {},
  };
}

/** The answer to an ABCI query. Throws what its code stands for. */
export async function ask(
  { query }: RestSources,
  path: string,
  data: Uint8Array,
  height: bigint,
): Promise<QueryAnswer> {
  const answer = await query(path, data, height);
  if (answer.code !== 0) throw abciError(answer);
  return answer;
}
