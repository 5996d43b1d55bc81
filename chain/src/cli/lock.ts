import { readFileSync, writeFileSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { KaratError } from "@karat/common";
import { homePaths } from "./home.ts";

export interface HomeLock {
  release(): void;
}

const SQLITE_BUSY = 5;

/**
 * Takes a home's data for this process alone. The lock is SQLite's, on an empty database: the kernel holds it and gives it
 * back when the process ends in whatever way, so there is no stale one to clear. Throws `home_locked` with the other's pid.
 */
export async function lockHome(home: string): Promise<HomeLock> {
  const { data } = homePaths(home);
  await mkdir(data, { recursive: true });
  const pidFile = join(data, "lock.pid");
  const database = new DatabaseSync(join(data, "lock.db"), { timeout: 0 });
  try {
    database.exec("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE");
  } catch (error) {
    database.close();
    if ((error as { errcode?: unknown }).errcode !== SQLITE_BUSY) throw error;
    const pid = pidIn(pidFile);
    const other = pid === undefined ? "another process" : `process ${pid}`;
    throw new KaratError("home_locked", `${other} has this home open: end it first`, { home, pid }, error);
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
