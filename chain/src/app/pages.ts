import type { PageRequest, PageResponse } from "cosmjs-types/cosmos/base/query/v1beta1/pagination";
import { ChainError, SDK } from "./errors.ts";

export const DEFAULT_PAGE = 100;
export const MAX_PAGE = 200;

/**
 * One page in key order by `key` (the next page's first key), at most MAX_PAGE entries. Offsets, totals and reversed
 * pages cost more than they are worth and are refused.
 */
export function readPage<T>(
  request: PageRequest | undefined,
  entries: (from: Uint8Array | undefined) => Iterable<T>,
  keyOf: (entry: T) => Uint8Array,
): { items: T[]; pagination: PageResponse } {
  if (request !== undefined && (request.offset > 0n || request.countTotal || request.reverse)) {
    throw new ChainError(SDK.invalidRequest, "pages go forward by key: offset, count_total and reverse are not served");
  }
  const wanted = request?.limit ?? 0n;
  const limit = wanted === 0n ? DEFAULT_PAGE : wanted > BigInt(MAX_PAGE) ? MAX_PAGE : Number(wanted);
  const items: T[] = [];
  for (const entry of entries(request && request.key.length > 0 ? request.key : undefined)) {
    if (items.length === limit) return { items, pagination: { nextKey: keyOf(entry), total: 0n } };
    items.push(entry);
  }
  return { items, pagination: { nextKey: new Uint8Array(), total: 0n } };
}
