import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { type Database, open, type RootDatabase } from "lmdb";
import { type Put, WriteLog } from "./writeLog.ts";

/** This node's durable state: one LMDB environment, a named database for each concern. */
export interface NodeDatabase {
  /** Values are structured (msgpack); keys are strings. A put resolves when it is committed. */
  open<V>(name: string): Database<V, string>;
  /**
   * Puts that survive the end of this process when the call returns, and are readable when its promise resolves: they go to a log at once,
   * and to LMDB together with others, 50 ms later at most. A commit waits for the disk, and costs more than many writes.
   */
  log(puts: readonly Put[]): Promise<void>;
  /** Has LMDB take what was only logged so far; called before a write that has to come behind it. */
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
  const databases = new Map<string, Database<unknown, string>>();
  const named = (name: string): Database<unknown, string> => {
    const known = databases.get(name) ?? root.openDB<unknown, string>({ name, useVersions: false });
    databases.set(name, known);
    return known;
  };
  const put = async ({ database, key, value }: Put): Promise<unknown> => await named(database).put(key, value);

  const log = new WriteLog(directory);
  for (const { database, key, value } of log.left) named(database).putSync(key, value);
  log.clear();

  let waiting: (() => void)[] = [];
  let timer: NodeJS.Timeout | undefined;
  let turning: Promise<void> | undefined;
  const soon = (): void => {
    timer ??= setTimeout(now, SOON_MS);
  };
  const now = (): void => {
    clearTimeout(timer);
    timer = undefined;
    const writes = waiting;
    waiting = [];
    for (const write of writes) write();
    // While the other file is not empty yet, this one goes on gathering.
    if (turning || log.isEmpty) return;
    const empty = log.turn();
    // Writes are committed in their order: behind this one, everything of the file is.
    turning = named("log")
      .put("turned", Date.now())
      .then(empty, () => undefined)
      .finally(() => {
        turning = undefined;
        if (!log.isEmpty) soon();
      });
  };
  const close = async (): Promise<void> => {
    now();
    await turning;
    clearTimeout(timer);
    await root.flushed;
    log.clear();
    log.close();
    await root.close();
  };
  return {
    open: <V>(name: string) => named(name) as Database<V, string>,
    log: (puts) => {
      log.append(puts);
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      waiting.push(() => void Promise.all(puts.map(put)).then(() => resolve(), reject));
      soon();
      return promise;
    },
    now,
    flushed: async () => {
      now();
      await root.flushed;
    },
    close,
  };
}
