import { fork } from "node:child_process";
import { mkdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { KaratError } from "@karat/common";
import type { LmdbStoreOptions } from "./lmdb.ts";

/** What the checking process is told, and says. */
export type RecoverRequest = Pick<LmdbStoreOptions, "path" | "names" | "journaled"> & { copy: string };
export type RecoverReply = { height: string; appHash: string } | { error: string };

const CHILD = new URL("./recoverChild.ts", import.meta.url);
const HELP = "the state on the disk is damaged: delete its folder, then replay the blocks or join by state sync";

/**
 * Checks every hash of a state that may have been torn, and puts a fresh copy of its last commit in its place: what no hash
 * covers (earlier heights, lists of unused pages) does not come along. In a process of its own, because LMDB may die of a
 * damaged file. Returns height and app hash (hex) of the last commit; throws `corrupt_store` with what to do.
 */
export async function recoverState({
  path,
  names,
  journaled = [],
}: LmdbStoreOptions): Promise<{ height: bigint; appHash: string }> {
  const copy = join(path, "recovered");
  rmSync(copy, { recursive: true, force: true });
  mkdirSync(copy, { recursive: true });
  try {
    const reply = await ask({ path, names, journaled, copy });
    if ("error" in reply) throw new KaratError("corrupt_store", HELP, { path, why: reply.error });
    renameSync(join(copy, "data.mdb"), join(path, "data.mdb"));
    return { height: BigInt(reply.height), appHash: reply.appHash };
  } finally {
    rmSync(copy, { recursive: true, force: true });
  }
}

function ask(request: RecoverRequest): Promise<RecoverReply> {
  return new Promise((resolve, reject) => {
    const child = fork(CHILD, { stdio: ["ignore", "ignore", "ignore", "ipc"] });
    let reply: RecoverReply | undefined;
    child.on("message", (message: RecoverReply) => {
      reply = message;
    });
    child.on("error", reject);
    child.on("exit", (code, signal) => {
      resolve(code === 0 && reply !== undefined ? reply : { error: `the check ended with ${signal ?? code}` });
    });
    child.send(request);
  });
}
