import type { ProofSpec, Side } from "./existence.ts";
import { invalid } from "./support.ts";

const HASH_LENGTH = 32;

/**
 * IAVL+ trees (cosmos/iavl): a node begins with the varints height, size, version. A leaf has height 0 and size 1; an
 * inner node goes on with 0x20|left hash, 0x20|right hash, of which the proven child's 32 bytes are left out.
 */
export const iavlSpec: ProofSpec = {
  checkLeafPrefix(prefix) {
    const { height, size, end } = iavlHeader(prefix);
    if (height !== 0 || size !== 1 || end !== prefix.length) throw invalid("a leaf's prefix is malformed");
  },
  sideOf({ prefix, suffix }, depth): Side {
    const { height, size, end } = iavlHeader(prefix);
    // Each level up is at least one higher; a leaf's header could otherwise pass for an inner node's.
    if (height < depth || size < 2) throw invalid("an inner node's header is malformed");
    const rest = prefix.subarray(end);
    const left = rest.length === 1 && suffix.length === HASH_LENGTH + 1 && suffix[0] === HASH_LENGTH;
    const right = rest.length === HASH_LENGTH + 2 && rest.at(-1) === HASH_LENGTH && suffix.length === 0;
    if (rest[0] !== HASH_LENGTH || !(left || right)) throw invalid("an inner node is malformed");
    return left ? "left" : "right";
  },
};

/** RFC 6962 trees (CometBFT's "simple" Merkle tree): 0x00|leaf, 0x01|left|right. */
export const simpleSpec: ProofSpec = {
  checkLeafPrefix(prefix) {
    if (prefix.length !== 1 || prefix[0] !== 0) throw invalid("a leaf's prefix is malformed");
  },
  sideOf({ prefix, suffix }): Side {
    const left = prefix.length === 1 && suffix.length === HASH_LENGTH;
    const right = prefix.length === HASH_LENGTH + 1 && suffix.length === 0;
    if (prefix[0] !== 1 || !(left || right)) throw invalid("an inner node is malformed");
    return left ? "left" : "right";
  },
};

function iavlHeader(prefix: Uint8Array): { height: number; size: number; end: number } {
  const [height, afterHeight] = varint(prefix, 0);
  const [size, afterSize] = varint(prefix, afterHeight);
  const [, end] = varint(prefix, afterSize);
  return { height, size, end };
}

/** A minimal zigzag varint of a number that is not negative; and where it ends. */
function varint(bytes: Uint8Array, start: number): [value: number, end: number] {
  let value = 0;
  let unit = 1;
  for (let at = start; at < start + 8; at++, unit *= 0x80) {
    const byte = bytes[at];
    if (byte === undefined) break;
    value += (byte & 0x7f) * unit;
    if (byte < 0x80) {
      const minimal = byte !== 0 || at === start;
      if (!minimal || value % 2 !== 0) break;
      return [value / 2, at + 1];
    }
  }
  throw invalid("a node's header is malformed");
}
