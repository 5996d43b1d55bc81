import { isKaratError, KaratError } from "@karat/common";
import type { Backend, PartialLeaves } from "../backend.ts";
import { equalBytes } from "../bytes.ts";
import type { Tree } from "../iavl/tree.ts";
import { MAX_KEY_BYTES, MAX_VALUE_BYTES } from "../limits.ts";
import { HASH_BYTES, simpleLeaf, simpleRoot } from "../simpleTree.ts";
import type { Change } from "../types.ts";
import { decodeKey, keysOf, LiveSet } from "./commitment.ts";
import { encodePlace, ValuePages } from "./entry.ts";
import { BlockLeaves } from "./records.ts";

export const malformed = (message: string) => new KaratError("snapshot_malformed", message);

/** What would be a corrupt store elsewhere comes from a stranger here. */
function decoded<T>(decode: () => T): T {
  try {
    return decode();
  } catch (error) {
    if (isKaratError(error, "corrupt_store")) throw malformed("the commitments of a journal are malformed");
    throw error;
  }
}

interface Block {
  height: number;
  live: LiveSet;
  root: Uint8Array;
  keys: Uint8Array[];
  hashes: Uint8Array[];
  pages: ValuePages;
}

/** Of leaves that are not current nobody asks for key or value. */
const NONE = new Uint8Array(0);

/**
 * A journaled store out of a snapshot. Block by block, in order, the leaves must have the root that the tree of
 * commitments holds, and be values exactly where that tree says that they are current: no entry can be left out, made
 * up, or be one that was overwritten since. (The tree itself is checked by the app hash.) Throws `snapshot_malformed`.
 */
export class JournalImport {
  readonly name: string;
  readonly #backend: Backend;
  readonly #commitments: Iterator<readonly [Uint8Array, Uint8Array]>;
  #block: Block | undefined;
  #places: Change[] = [];
  #leaves: PartialLeaves[] = [];

  constructor(name: string, backend: Backend, commitments: Tree) {
    this.name = name;
    this.#backend = backend;
    this.#commitments = commitments.iterate(keysOf(name));
  }

  block(height: number): void {
    this.#closeBlock();
    const root = this.#next(height, true);
    const live = this.#next(height, false);
    const leaves = { keys: [], hashes: [], pages: new ValuePages() };
    this.#block = { height, root, live: decoded(() => LiveSet.decode(live)), ...leaves };
  }

  live(key: Uint8Array, value: Uint8Array): void {
    const block = this.#due(true);
    if (key.length === 0 || key.length > MAX_KEY_BYTES || value.length > MAX_VALUE_BYTES) {
      throw malformed("an entry is out of limits");
    }
    const { height, keys, pages } = block;
    this.#places.push([key, encodePlace({ height, index: keys.length, page: pages.add(value) })]);
    block.keys.push(key);
    block.hashes.push(simpleLeaf(key, value));
  }

  dead(hash: Uint8Array): void {
    const block = this.#due(false);
    block.keys.push(NONE);
    block.pages.add(NONE);
    block.hashes.push(hash.slice());
  }

  /** After the last block. */
  close(): void {
    this.#closeBlock();
    if (this.#commitments.next().done !== true) throw malformed("blocks of a journal are missing");
    this.write();
  }

  write(): void {
    if (this.#places.length === 0 && this.#leaves.length === 0) return;
    this.#backend.writePartial([], new Map([[this.name, this.#places]]), this.#leaves);
    this.#places = [];
    this.#leaves = [];
  }

  #due(live: boolean): Block {
    const block = this.#block;
    if (block === undefined || block.keys.length >= block.live.size || block.live.has(block.keys.length) !== live) {
      throw malformed("an entry is not where the state has one");
    }
    return block;
  }

  #next(height: number, root: boolean): Uint8Array {
    const { value: found, done } = this.#commitments.next();
    const expected = done === true ? undefined : decoded(() => decodeKey(found[0]));
    if (done === true || expected?.height !== height || expected.root !== root) {
      throw malformed("the blocks of a journal are not those of the state");
    }
    return found[1];
  }

  #closeBlock(): void {
    if (this.#block === undefined) return;
    const { height, live, root, keys, hashes, pages } = this.#block;
    this.#block = undefined;
    const joined = Buffer.concat(hashes, hashes.length * HASH_BYTES);
    if (keys.length !== live.size || !equalBytes(simpleRoot(joined), root)) {
      throw malformed("the leaves of a block have another root");
    }
    this.#leaves.push({ name: this.name, height, leaves: BlockLeaves.encode(keys, joined), pages: pages.finish() });
  }
}
