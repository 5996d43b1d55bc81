import { addressBytes } from "@karat/common";
import { ChainError, SDK } from "../../app/errors.ts";
import type { Context, QueryHandler } from "../../app/module.ts";

interface Decoder<T> {
  decode(bytes: Uint8Array): T;
}
interface Encoder<T> {
  encode(message: T): { finish(): Uint8Array };
}

/** A query of generated types. Undecodable requests give `invalid request`. */
export function defineQuery<Request, Response>(
  request: Decoder<Request>,
  response: Encoder<Response>,
  answer: (ctx: Context, request: Request) => Response,
): QueryHandler {
  return (ctx, bytes) => {
    let decoded: Request;
    try {
      decoded = request.decode(bytes);
    } catch {
      throw new ChainError(SDK.invalidRequest, "undecodable query");
    }
    return response.encode(answer(ctx, decoded)).finish();
  };
}

/** Throws `not found` for undefined. */
export function found<T>(value: T | undefined, what: string): T {
  if (value === undefined) throw new ChainError(SDK.notFound, `rpc error: code = NotFound desc = ${what} not found`);
  return value;
}

/** An address a query names; throws `invalid address`. */
export function queriedAddress(address: string): string {
  if (addressBytes(address) === undefined) throw new ChainError(SDK.invalidAddress, address);
  return address;
}

/** How many rows a page has: what was asked, the default for 0, never more than the most. */
export function pageLimit(asked: number, byDefault = 100, most = 200): number {
  if (asked === 0) return byDefault;
  return asked < most ? asked : most;
}
