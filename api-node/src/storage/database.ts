import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { type Database, open, type RootDatabase } from "lmdb";

/** This node's durable state: one LMDB environment, a named database for each concern. */
export interface NodeDatabase {
  /** Values are structured (msgpack); keys are strings. A put resolves when it is committed. */
  open<V>(name: string): Database<V, string>;
  /** Resolves when everything committed is on disk. */
  flushed(): Promise<void>;
  close(): Promise<void>;
}

const MAX_DATABASES = 32;

export function openDatabase(directory: string): NodeDatabase {
  mkdirSync(directory, { recursive: true });
  const root: RootDatabase = open({ path: join(directory, "node.lmdb"), maxDbs: MAX_DATABASES });
  return {
    open: <V>(name: string) => root.openDB<V, string>({ name, useVersions: false }),
    flushed: async () => {
      await root.flushed;
    },
    close: async () => {
      await root.flushed;
      await root.close();
    },
  };
}
