import type { Input } from "./input.ts";
import { invalidArgument } from "./status.ts";

/** CometBFT's RPC gives no more at once. */
const MAX_PER_PAGE = 100n;

/**
 * The page of CometBFT's RPC (counted from 1) that `page` and `limit`, or `pagination.offset` and `pagination.limit`, ask for.
 * Throws `rest/invalid-argument` for an offset that is not a whole number of pages.
 */
export function pageNumber(input: Input): { page: bigint; limit: bigint } {
  const asked = input.query("limit") === "" ? input.queryU64("pagination.limit") : input.queryU64("limit");
  const limit = asked === 0n || asked > MAX_PER_PAGE ? MAX_PER_PAGE : asked;
  if (input.query("page") !== "") {
    const page = input.queryU64("page");
    return { page: page === 0n ? 1n : page, limit };
  }
  return pageOf({ offset: input.queryU64("pagination.offset"), limit });
}

/** The same of a `PageRequest`; its limit is as large as the RPC allows where it names none. */
export function pageOf(asked: { offset: bigint; limit: bigint }): { page: bigint; limit: bigint } {
  const { offset } = asked;
  const limit = asked.limit === 0n || asked.limit > MAX_PER_PAGE ? MAX_PER_PAGE : asked.limit;
  if (offset % limit !== 0n) throw invalidArgument(`pagination.offset is a multiple of the page's size, ${limit}`);
  return { page: offset / limit + 1n, limit };
}
