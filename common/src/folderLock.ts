import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { KaratError } from "./errors.ts";

export interface FolderLock {
  release(): void;
}

const SQLITE_BUSY = 5;

/**
 * Takes a folder for this process alone, and makes it where it is not there. The lock is SQLite's, on an empty database: the kernel
 * holds it and gives it back when the process ends in whatever way, so there is no stale one to clear. Throws `folder_locked` {folder,
 * pid} with the other's pid where it is known.
 */
export function lockFolder(folder: string): FolderLock {
  mkdirSync(folder, { recursive: true });
  const pidFile = join(folder, "lock.pid");
  const database = new DatabaseSync(join(folder, "lock.db"), { timeout: 0 });
  try {
    database.exec("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE");
  } catch (error) {
    database.close();
    if ((error as { errcode?: unknown }).errcode !== SQLITE_BUSY) throw error;
    const pid = pidIn(pidFile);
    const other = pid === undefined ? "another process" : `process ${pid}`;
    throw new KaratError("folder_locked", `${other} has ${folder} open: end it first`, { folder, pid }, error);
  }
  writeFileSync(pidFile, `${process.pid}\n`);
  return { release: () => database.close() };
}

function pidIn(path: string): number | undefined {
  try {
    const pid = Number(readFileSync(path, "utf8").trim());
    return Number.isSafeInteger(pid) && pid > 0 ? pid : undefined;
  } catch {
    return undefined;
  }
}
