/**
 * Commits block after block to the store at argv[2], until it is killed or the disk refuses. Says `stage`, `commit` and
 * `done` with the height as each phase begins; a failure is its code, and then that of one more attempt.
 */
import { isKaratError } from "@karat/common";
import { LmdbCommitStore } from "../lmdb.ts";
import { blockOfHeight, CRASH_STORES } from "./crashBlocks.ts";

export interface CrashMessage {
  phase: "stage" | "commit" | "done" | "failed";
  height: string;
  code?: string;
}

const say = (message: CrashMessage): void => void process.send?.(message);
const store = LmdbCommitStore.open({ path: process.argv[2]!, ...CRASH_STORES, pruneKeep: 5 });
let failures = 0;

function next(): void {
  const height = store.height() + 1n;
  try {
    say({ phase: "stage", height: `${height}` });
    store.stage(height, blockOfHeight(height));
    store.setMeta("height", new TextEncoder().encode(`${height}`));
    say({ phase: "commit", height: `${height}` });
    store.commit();
    say({ phase: "done", height: `${height}` });
  } catch (error) {
    say({ phase: "failed", height: `${height}`, code: isKaratError(error) ? error.code : String(error) });
    if (++failures === 2) {
      process.disconnect();
      return;
    }
  }
  setImmediate(next);
}
next();
