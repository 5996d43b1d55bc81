import { readFileSync } from "node:fs";
import { vi } from "vitest";

/** The chain an engine under test runs, with the key-value test application. */
export const CONFORMANCE_CHAIN = "kv-conformance-1";

export interface TxReply {
  readonly hash: string;
  readonly height: string;
  readonly proof: {
    readonly root_hash: string;
    readonly data: string;
    readonly proof: {
      readonly total: string;
      readonly index: string;
      readonly leaf_hash: string;
      readonly aunts: readonly string[];
    };
  };
}

/** What the tests talk to. */
export interface Target {
  readonly url: string;
  /** The transaction `colour=blue`, in a block of its own. */
  readonly tx: TxReply;
}

/** A recorded reply of a real CometBFT. */
export const vector = (name: string): unknown =>
  JSON.parse(readFileSync(new URL(`../../../../test/vectors/comet-rpc-v0.38/${name}.json`, import.meta.url), "utf8"));

export const b64 = (text: string): string => Buffer.from(text).toString("base64");

/** Indexing follows the commit in CometBFT: what was just included may take a moment to be found. */
export const eventually = <T>(job: () => Promise<T>): Promise<T> => vi.waitFor(job, { timeout: 10_000, interval: 20 });
