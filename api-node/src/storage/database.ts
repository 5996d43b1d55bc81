import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { type Database, open, type RootDatabase } from "lmdb";

/** This node's durable state: one LMDB environment, a named database for each concern. */
export interface NodeDatabase {
  /** Values are structured (msgpack); keys are strings. A put resolves when it is committed. */
  open<V>(name: string): Database<V, string>;
  /** A write that nobody waits for: done together with the next one that somebody does, 50 ms later at the latest. A commit costs more than many writes. */
  soon(write: () => void): void;
  /** Does what was put off; called before a write that is awaited. */
  now(): void;
  /** Resolves when everything committed is on disk. */
  flushed(): Promise<void>;
  close(): Promise<void>;
}

const MAX_DATABASES = 32;
const SOON_MS = 50;

export function openDatabase(directory: string): NodeDatabase {
  mkdirSync(directory, { recursive: true });
  const root: RootDatabase = open({ path: join(directory, "node.lmdb"), maxDbs: MAX_DATABASES });
  let waiting: (() => void)[] = [];
  let timer: NodeJS.Timeout | undefined;
  const now = (): void => {
    clearTimeout(timer);
    timer = undefined;
    const writes = waiting;
    waiting = [];
    for (const write of writes) write();
  };
  return {
    soon: (write) => {
      waiting.push(write);
      timer ??= setTimeout(now, SOON_MS);
    },
    now,
    open: <V>(name: string) => root.openDB<V, string>({ name, useVersions: false }),
    flushed: async () => {
      now();
      await root.flushed;
    },
    close: async () => {
      now();
      await root.flushed;
      await root.close();
    },
  };
}
