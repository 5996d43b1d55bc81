/** The checking process of `recoverState`: a state, one answer. */
import { messageOf, toHex } from "@karat/common";
import { LmdbCommitStore } from "./lmdb.ts";
import type { RecoverReply, RecoverRequest } from "./recover.ts";
import { chunkHash, exportSnapshot, SnapshotImport, snapshotOffer } from "./snapshot.ts";
import { verifyState } from "./verifyState.ts";

process.once("message", async (request: RecoverRequest) => {
  let reply: RecoverReply;
  try {
    reply = recover(request);
  } catch (error) {
    reply = { error: messageOf(error) };
  }
  process.send?.(reply, () => process.disconnect());
});

/** A copy by way of a snapshot: each entry is read, hashed and written anew, so that no page of the old file lives on. */
function recover({ copy, ...options }: RecoverRequest): RecoverReply {
  const store = LmdbCommitStore.open(options);
  verifyState(store);
  const [height, appHash] = [store.height(), store.appHash()];
  const fresh = LmdbCommitStore.open({ ...options, path: copy });
  if (height > 0n) {
    const hashes = Array.from(exportSnapshot(store, height), chunkHash);
    const work = new SnapshotImport(fresh, snapshotOffer(height, hashes));
    let index = 0;
    for (const chunk of exportSnapshot(store, height)) work.addChunk(index++, chunk);
    work.finish(appHash, store.backend.allMeta());
  }
  fresh.close();
  store.close();
  return { height: `${height}`, appHash: toHex(appHash) };
}
