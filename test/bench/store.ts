/**
 * What a block costs the state store: `node test/bench/store.ts [keys] [updates] [blocks]`
 * (default 100 000 keys, 1 000 random updates per block, 30 blocks), in memory and on LMDB.
 * Milliseconds depend on the machine; compare the ratios.
 */
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { performance } from "node:perf_hooks";
import {
  type Change,
  exportSnapshot,
  LmdbCommitStore,
  MemoryCommitStore,
  type TreeCommitStore,
} from "../../chain/src/store/index.ts";

const [keys = 100_000, updates = 1000, blocks = 30] = process.argv.slice(2).map(Number);
const names = ["main"];
const keyFor = (index: number): Uint8Array => Buffer.from(`account/${index.toString().padStart(12, "0")}`);
const valueFor = (seed: number): Uint8Array => Buffer.from(`value ${seed} `.padEnd(64, "x"));

/** A small deterministic generator, so that every store sees the same blocks. */
function randomIndexes(): () => number {
  let state = 1;
  return () => {
    state = (state * 48271) % 2147483647;
    return state % keys;
  };
}

interface Result {
  bulk: number;
  stage: number[];
  commit: number[];
  gets: number;
  proofs: number;
  exported: number;
}

function measure(store: TreeCommitStore): Result {
  const timed = (action: () => void): number => {
    const start = performance.now();
    action();
    return performance.now() - start;
  };
  const commit = (changes: Change[]): [number, number] => {
    const height = store.height() + 1n;
    const staged = timed(() => store.stage(height, new Map([["main", changes]])));
    return [staged, timed(() => store.commit())];
  };
  const bulk = timed(() => {
    for (let from = 0; from < keys; from += 10_000) {
      const count = Math.min(10_000, keys - from);
      commit(Array.from({ length: count }, (_, i): Change => [keyFor(from + i), valueFor(from + i)]));
    }
  });
  const random = randomIndexes();
  const stage: number[] = [];
  const committed: number[] = [];
  for (let block = 0; block < blocks; block++) {
    const chosen = [...new Set(Array.from({ length: updates }, random))].sort((a, b) => a - b);
    const [staged, written] = commit(chosen.map((index): Change => [keyFor(index), valueFor(block)]));
    stage.push(staged);
    committed.push(written);
  }
  const reader = store.reader("main");
  const gets = timed(() => {
    for (let i = 0; i < 20_000; i++) reader.get(keyFor(random()));
  });
  const proofs = timed(() => {
    for (let i = 0; i < 1000; i++) store.prove("main", keyFor(random()));
  });
  const exported = timed(() => {
    for (const chunk of exportSnapshot(store, store.height())) void chunk.length;
  });
  return { bulk, stage, commit: committed, gets: 20_000 / gets, proofs: 1000 / proofs, exported };
}

const median = (values: number[]): number => [...values].sort((a, b) => a - b)[values.length >> 1] ?? 0;
const show = (value: number): string => value.toFixed(1).padStart(10);

const folder = mkdtempSync(join(tmpdir(), "karat-bench-"));
try {
  const memory = new MemoryCommitStore({ names, pruneKeep: 10 });
  const inMemory = measure(memory);
  memory.close();
  const disk = LmdbCommitStore.open({ path: folder, names, pruneKeep: 10 });
  const onDisk = measure(disk);
  disk.close();
  const rows: [string, (result: Result) => number][] = [
    ["load, ms", (result) => result.bulk],
    ["stage, ms per block (median)", (result) => median(result.stage)],
    ["stage, ms per block (best)", (result) => Math.min(...result.stage)],
    ["commit, ms per block (median)", (result) => median(result.commit)],
    ["commit, ms per block (best)", (result) => Math.min(...result.commit)],
    ["gets per ms", (result) => result.gets],
    ["proofs per ms", (result) => result.proofs],
    ["snapshot, ms", (result) => result.exported],
  ];
  console.log(`${keys} keys, ${updates} updates per block, ${blocks} blocks`);
  console.log(`${"".padEnd(32)}    memory      lmdb     ratio`);
  for (const [name, of] of rows) {
    console.log(`${name.padEnd(32)}${show(of(inMemory))}${show(of(onDisk))}${show(of(onDisk) / of(inMemory))}`);
  }
  console.log(`${"file, MB".padEnd(42)}${show(statSync(join(folder, "data.mdb")).size / 1e6)}`);
} finally {
  rmSync(folder, { recursive: true, force: true });
}
