import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { Logger } from "@karat/common";

const POLL_MS = 50;
/** CometBFT ends by itself when its application has gone; this is how long it may take. */
const GRACE_MS = 15_000;

const fileOf = (home: string): string => join(home, "cometbft.pid");

export function rememberPid(home: string, pid: number): void {
  writeFileSync(fileOf(home), `${pid}\n`);
}

/**
 * Waits for a CometBFT of this home that outlived its supervisor (a `kill -9` of the node leaves one for a moment), and ends it
 * where it does not go by itself. Only a process that runs on this very home is touched; where there is no /proc, none is.
 */
export async function endOrphan(home: string, log: Logger): Promise<void> {
  const pid = remembered(home);
  if (pid === undefined || !runsOn(pid, home)) return;
  log.warn({ pid }, "a CometBFT of this home is still running");
  process.kill(pid, "SIGTERM");
  for (let waited = 0; runsOn(pid, home); waited += POLL_MS) {
    if (waited >= GRACE_MS) process.kill(pid, "SIGKILL");
    await delay(POLL_MS);
  }
}

function remembered(home: string): number | undefined {
  try {
    const pid = Number(readFileSync(fileOf(home), "utf8").trim());
    return Number.isSafeInteger(pid) && pid > 0 ? pid : undefined;
  } catch {
    return undefined;
  }
}

function runsOn(pid: number, home: string): boolean {
  try {
    const words = readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0");
    // What has ended and was not waited for has no words.
    return words[1] === "start" && words.includes(home);
  } catch {
    return false;
  }
}
