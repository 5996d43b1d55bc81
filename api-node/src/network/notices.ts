import type { FollowedBlock } from "@karat/client";
import type { Database } from "lmdb";
import type { NodeDatabase } from "../storage/database.ts";

/** Something that happened to a client's inference, or to who has answered it falsely, and that the client should hear of. */
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
  /** ukarat that it cost the executor's collateral: the fine for one answer, or what an exclusion slashed. */
  readonly penalty: string;
}

const TYPES: ReadonlyMap<string, string> = new Map([
  ["inference_invalid", "invalid"],
  ["inference_inconclusive", "inconclusive"],
  ["inference_missed", "missed"],
]);
const MAX_NOTICES = 100_000;
/** Latest notices among which those are looked for whom an exclusion concerns. */
const MAX_LOOKED_AT = 10_000;

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
    const notices = this.#noticesOf(block);
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

  /** In the order of the block's events; a fine belongs to the answer found false before it. */
  #noticesOf(block: FollowedBlock): Notice[] {
    const events = [...block.txs.flatMap(({ code, events: of }) => (code === 0 ? of : [])), ...block.events];
    const notices: Notice[] = [];
    for (const [i, { type, attributes }] of events.entries()) {
      const value = (key: string): string => attributes.find((attribute) => attribute.key === key)?.value ?? "";
      const id = `${block.height.toString().padStart(16, "0")}-${i.toString().padStart(6, "0")}`;
      const height = block.height.toString();
      const kind = TYPES.get(type);
      if (kind) {
        const [client, executor, refund] = [value("client"), value("executor"), value("refund")];
        const about = { id, type: kind, height, client, inference_id: value("inference_id"), executor, refund };
        notices.push({ ...about, penalty: "0" });
      } else if (type === "participant_fined") {
        const at = notices.findLastIndex((each) => each.type === "invalid" && each.executor === value("participant"));
        const fined = notices[at];
        if (fined) notices[at] = { ...fined, penalty: value("amount") };
      } else if (type === "participant_excluded") {
        const executor = value("participant");
        const about = { type: "excluded", height, inference_id: "", executor, refund: "0", penalty: value("slashed") };
        for (const [n, client] of this.#cheatedBy(executor, notices).entries()) {
          notices.push({ ...about, id: `${id}-${n.toString().padStart(4, "0")}`, client });
        }
      }
    }
    return notices;
  }

  /** Clients to whom an answer of this executor was found false, in this block or lately. */
  #cheatedBy(executor: string, notices: readonly Notice[]): string[] {
    const before = [...this.#all.getRange({ reverse: true, limit: MAX_LOOKED_AT })].map(({ value }) => value);
    const invalid = [...notices, ...before].filter((each) => each.type === "invalid" && each.executor === executor);
    return [...new Set(invalid.map(({ client }) => client))];
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
