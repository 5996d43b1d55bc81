/** One block of a journaled store: what it writes to the flat table, to the journal and to the commitments. */
import { KaratError } from "@karat/common";
import { compareBytes } from "../bytes.ts";
import { HASH_BYTES, putSimpleLeaf, simpleRoot } from "../simpleTree.ts";
import type { Change, Reader } from "../types.ts";
import { decodeKey, keysOf, LiveSet, liveKey, rootKey } from "./commitment.ts";
import { encodePlace, type Place, placeOf, type ValuePage, ValuePages } from "./entry.ts";
import { BlockLeaves, Undo } from "./records.ts";

/**
 * Entries last written longer ago than this many blocks are written anew, unchanged, so that no block counts for ever
 * because of one entry: the journal is bounded by what this many blocks write. Consensus.
 */
export const JOURNAL_WINDOW = 8_192;
/** Most entries of one store that a block writes anew for that reason. Consensus. */
export const REWRITES_PER_BLOCK = 256;

/** What a commit adds to the journal of one store. */
export interface JournalRecord {
  name: string;
  height: number;
  /** BlockLeaves; undefined where the block wrote nothing. */
  leaves: Uint8Array | undefined;
  /** The values of these leaves. */
  pages: readonly ValuePage[];
  undo: Uint8Array;
  /** Heights whose leaves none is current of any more: kept for as long as `undo`. */
  ended: readonly number[];
}

export interface JournalDeps {
  /** Places of the current entries. */
  places: Reader;
  /** The value at a place. */
  value(place: Place): Uint8Array;
  /** Current commitments of all stores. */
  commitments: Reader;
  leaves(height: number): BlockLeaves;
  window: number;
}

export interface StagedJournal {
  record: JournalRecord;
  /** For the flat table. */
  places: Change[];
  /** For the store of commitments. */
  commitments: Change[];
}

/** `writes` are sorted by key, each key once. Undefined where nothing changes. */
export function stageJournal(
  name: string,
  height: number,
  writes: readonly Change[],
  deps: JournalDeps,
): StagedJournal | undefined {
  const dead = new DeadLeaves(name, deps.commitments);
  const undo: Change[] = [];
  const changes: Change[] = [];
  for (const [key, value] of writes) {
    const before = deps.places.get(key);
    // Deleting what is not there is no change.
    if (before === undefined && value === undefined) continue;
    if (before !== undefined) dead.add(placeOf(before));
    undo.push([key, before]);
    changes.push([key, value]);
  }
  if (rewriteOldest(name, height, deps, dead, changes, undo)) {
    changes.sort(byKey);
    undo.sort(byKey);
  }
  if (changes.length === 0) return undefined;
  const keys: Uint8Array[] = [];
  const hashes = new Uint8Array(changes.length * HASH_BYTES);
  const pages = new ValuePages();
  const places = changes.map(([key, value]): Change => {
    if (value === undefined) return [key, undefined];
    putSimpleLeaf(hashes, keys.length * HASH_BYTES, key, value);
    return [key, encodePlace({ height, index: keys.push(key) - 1, page: pages.add(value) })];
  });
  const commitments = dead.changes();
  let leaves: Uint8Array | undefined;
  if (keys.length > 0) {
    const joined = hashes.subarray(0, keys.length * HASH_BYTES);
    leaves = BlockLeaves.encode(keys, joined);
    commitments.push([rootKey(name, height), simpleRoot(joined)]);
    commitments.push([liveKey(name, height), LiveSet.full(keys.length).encode()]);
  }
  const record = { name, height, leaves, pages: pages.finish(), undo: Undo.encode(undo), ended: dead.ended };
  return { record, places, commitments };
}

const byKey = (a: Change, b: Change): number => compareBytes(a[0], b[0]);

/** Adds what is left of the oldest block to the changes where it is too old. */
function rewriteOldest(
  name: string,
  height: number,
  deps: JournalDeps,
  dead: DeadLeaves,
  changes: Change[],
  undo: Change[],
): boolean {
  const oldest = oldestHeight(name, deps.commitments);
  if (oldest === undefined || height - oldest <= deps.window) return false;
  const leaves = deps.leaves(oldest);
  let rewritten = 0;
  for (const index of dead.of(oldest)) {
    if (rewritten === REWRITES_PER_BLOCK) break;
    const key = leaves.key(index);
    const entry = deps.places.get(key);
    if (entry === undefined) throw new KaratError("corrupt_store", "a current entry is missing", { oldest, index });
    const place = placeOf(entry);
    changes.push([key, deps.value(place)]);
    undo.push([key, entry]);
    dead.add(place);
    rewritten++;
  }
  return rewritten > 0;
}

function oldestHeight(name: string, commitments: Reader): number | undefined {
  for (const [key] of commitments.iterate(keysOf(name))) return decodeKey(key).height;
  return undefined;
}

/** Leaves of earlier blocks that a block overwrites or deletes. */
class DeadLeaves {
  readonly #name: string;
  readonly #commitments: Reader;
  readonly #live = new Map<number, LiveSet>();

  constructor(name: string, commitments: Reader) {
    this.#name = name;
    this.#commitments = commitments;
  }

  add({ height, index }: Place): void {
    this.#liveOf(height).clear(index);
  }

  /** The leaves of a block that are still current. */
  of(height: number): number[] {
    return [...this.#liveOf(height)];
  }

  /** The blocks none of whose leaves is current any more. */
  get ended(): number[] {
    return [...this.#live].filter(([, live]) => live.empty).map(([height]) => height);
  }

  changes(): Change[] {
    return [...this.#live].flatMap(([height, live]): Change[] =>
      live.empty
        ? [
            [rootKey(this.#name, height), undefined],
            [liveKey(this.#name, height), undefined],
          ]
        : [[liveKey(this.#name, height), live.encode()]],
    );
  }

  #liveOf(height: number): LiveSet {
    let live = this.#live.get(height);
    if (live === undefined) {
      const encoded = this.#commitments.get(liveKey(this.#name, height));
      if (encoded === undefined) throw new KaratError("corrupt_store", "a block of the journal is missing", { height });
      live = LiveSet.decode(encoded);
      this.#live.set(height, live);
    }
    return live;
  }
}
