import type { FollowedBlock } from "@karat/client";
import type { Database } from "lmdb";
import type { NodeDatabase } from "../storage/database.ts";

/** Something that happened to a client's inference and that it should hear of. */
export interface Notice {
  /** Sorts by height; give it as `after` to read on. */
  readonly id: string;
  readonly type: string;
  readonly height: string;
  readonly client: string;
  readonly inference_id: string;
  readonly executor: string;
  /** ukarat that came back. */
  readonly refund: string;
}

const TYPES: ReadonlyMap<string, string> = new Map([
  ["inference_invalid", "invalid"],
  ["inference_inconclusive", "inconclusive"],
  ["inference_missed", "missed"],
]);
const MAX_NOTICES = 100_000;

/** Refunds and convictions from the followed blocks, kept on disk; the oldest give way. */
export class Notices {
  readonly #all: Database<Notice, string>;
  readonly #byClient: Database<string, string>;
  readonly #listeners = new Map<string, Set<(notice: Notice) => void>>();

  constructor(database: NodeDatabase) {
    this.#all = database.open("notices");
    this.#byClient = database.open("notices-by-client");
  }

  /** The same block again changes nothing: a notice's id is its place in the chain. */
  async take(block: FollowedBlock): Promise<void> {
    const events = [...block.txs.flatMap(({ code, events: of }) => (code === 0 ? of : [])), ...block.events];
    const notices: Notice[] = [];
    for (const [i, { type, attributes }] of events.entries()) {
      const kind = TYPES.get(type);
      if (!kind) continue;
      const value = (key: string): string => attributes.find((attribute) => attribute.key === key)?.value ?? "";
      notices.push({
        id: `${block.height.toString().padStart(16, "0")}-${i.toString().padStart(6, "0")}`,
        type: kind,
        height: block.height.toString(),
        client: value("client"),
        inference_id: value("inference_id"),
        executor: value("executor"),
        refund: value("refund"),
      });
    }
    if (notices.length === 0) return;
    await this.#all.transaction(() => {
      for (const notice of notices) {
        void this.#all.put(notice.id, notice);
        void this.#byClient.put(`${notice.client}/${notice.id}`, notice.id);
      }
      const surplus = this.#all.getCount() - MAX_NOTICES;
      if (surplus <= 0) return;
      for (const { key, value } of this.#all.getRange({ limit: surplus })) {
        void this.#all.remove(key);
        void this.#byClient.remove(`${value.client}/${key}`);
      }
    });
    for (const notice of notices) for (const tell of this.#listeners.get(notice.client) ?? []) tell(notice);
  }

  /** A client's, oldest first, after an id. */
  of(client: string, after: string, limit: number): Notice[] {
    const range = this.#byClient.getRange({ start: `${client}/${after}`, end: `${client}0`, limit: limit + 1 });
    const ids = [...range].map(({ value }) => value).filter((id) => id > after);
    return ids.slice(0, limit).flatMap((id) => this.#all.get(id) ?? []);
  }

  /** Returns a function that ends it. */
  subscribe(client: string, listener: (notice: Notice) => void): () => void {
    const listeners = this.#listeners.get(client) ?? new Set();
    listeners.add(listener);
    this.#listeners.set(client, listeners);
    return () => {
      listeners.delete(listener);
      if (listeners.size === 0) this.#listeners.delete(client);
    };
  }
}
