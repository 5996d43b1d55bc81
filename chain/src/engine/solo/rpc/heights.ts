import { KaratError } from "@karat/common";
import type { RpcContext } from "./context.ts";

const DEFAULT_PER_PAGE = 30;
const MAX_PER_PAGE = 100;

const refuse = (reason: string): never => {
  throw new KaratError("rpc/bad-request", reason);
};

/** The newest height a method may speak of: committed, results and all. */
export const latestHeight = (context: RpcContext): bigint => context.state().lastHeight;

/** A height parameter, by default the latest; throws when it is out of what is kept. */
export function heightWithin(context: RpcContext, asked: bigint | undefined, latest = latestHeight(context)): bigint {
  if (asked === undefined) return latest;
  if (asked <= 0n) return refuse(`height must be greater than 0, but got ${asked}`);
  if (asked > latest) {
    return refuse(`height ${asked} must be less than or equal to the current blockchain height ${latest}`);
  }
  const { base } = context.store;
  return asked < base ? refuse(`height ${asked} is not available, lowest height is ${base}`) : asked;
}

/** How many items a page has. */
export function perPageOf(asked: bigint | undefined): number {
  if (asked === undefined || asked < 1n) return DEFAULT_PER_PAGE;
  return asked > BigInt(MAX_PER_PAGE) ? MAX_PER_PAGE : Number(asked);
}

/** One page of a list; throws when the page is not there. */
export function pageOf<T>(all: readonly T[], page: bigint | undefined, perPage: number): readonly T[] {
  const pages = Math.max(1, Math.ceil(all.length / perPage));
  if (page !== undefined && (page < 1n || page > BigInt(pages))) {
    return refuse(`page should be within [1, ${pages}] range, given ${page}`);
  }
  const skip = (Number(page ?? 1n) - 1) * perPage;
  return all.slice(skip, skip + perPage);
}

/** Puts a list that is in rising order into the asked one. */
export function inOrder<T>(rising: T[], orderBy: string | undefined, byDefault: "asc" | "desc"): T[] {
  const order = orderBy === undefined || orderBy === "" ? byDefault : orderBy;
  if (order === "asc") return rising;
  return order === "desc" ? rising.reverse() : refuse("expected order_by to be either `asc` or `desc` or empty");
}
