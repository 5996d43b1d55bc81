/** Commits block after block to the store at argv[2] and reports each height once `commit` has returned. Ends by being killed. */
import { utf8 } from "@karat/common";
import { LmdbCommitStore } from "../lmdb.ts";
import { changesOfHeight } from "./crashBlocks.ts";

const store = LmdbCommitStore.open({ path: process.argv[2]!, names: ["alpha", "beta"], pruneKeep: 5 });

function next(): void {
  const height = store.height() + 1n;
  store.stage(height, new Map([["alpha", changesOfHeight(height)]]));
  store.setMeta("height", utf8(`${height}`));
  store.commit();
  process.send?.(`${height}`);
  setImmediate(next);
}
next();
