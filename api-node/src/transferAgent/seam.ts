import type { TokenLine } from "../executor/protocol.ts";
import type { Order } from "./orders.ts";

/** Where an answer is taken up again. */
export interface Seam {
  /** Ids behind which the next executor goes on. */
  readonly prefix: readonly number[];
  /** The token that it has to give first because the client has it already. */
  readonly repeated: TokenLine | undefined;
}

/**
 * The seam behind what the client has been told. The next executor is given all of it, whatever it would have sampled itself, unless the
 * last token may have ended the answer: an ended answer cannot be continued, so that token is asked for once more, and the seed gives it.
 */
export function seamOf({ authorization, request }: Order, told: readonly TokenLine[]): Seam {
  const last = told.at(-1);
  const ids = told.map(({ id }) => id);
  if (!last || !mayBeLast(last)) return { prefix: ids, repeated: undefined };
  return { prefix: ids.slice(0, -1), repeated: last };

  function mayBeLast({ bytes, text }: TokenLine): boolean {
    // Control tokens have no bytes. Text that a stop sequence cut off, or may yet cut off, is not all of the token's.
    const stops = (request.sanitized.stop ?? []).length > 0;
    const whole = Buffer.from(bytes).toString("utf8") === text;
    return bytes.length === 0 || told.length >= authorization.message.maxOutputTokens || (stops && !whole);
  }
}
