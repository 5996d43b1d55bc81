/** What disks and machines do to a state: the store recovers the last commit or says that it cannot. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { cpSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { toHex, utf8 } from "@karat/common";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { content } from "./conformance.ts";
import { LmdbCommitStore } from "./lmdb.ts";
import { MemoryCommitStore } from "./memory.ts";
import { recoverState } from "./recover.ts";
import { blockOfHeight, CRASH_STORES } from "./testing/crashBlocks.ts";
import type { CrashMessage } from "./testing/crashChild.ts";
import type { TreeCommitStore } from "./treeStore.ts";
import { verifyState } from "./verifyState.ts";

/** Processes start slowly on a busy machine. */
const TIMEOUT = 120_000;
const folder = mkdtempSync(join(tmpdir(), "karat-faults-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const BLOCKS = 40n;
const PAGE = 4096;
const original = join(folder, "original");
let expected: TreeCommitStore;

function grow(store: TreeCommitStore, to: bigint): TreeCommitStore {
  while (store.height() < to) {
    const height = store.height() + 1n;
    store.stage(height, blockOfHeight(height));
    store.commit();
  }
  return store;
}

beforeAll(() => {
  grow(LmdbCommitStore.open({ path: original, ...CRASH_STORES, pruneKeep: 5 }), BLOCKS).close();
  expected = grow(new MemoryCommitStore({ ...CRASH_STORES, pruneKeep: 5 }), BLOCKS);
});

const copyOf = (name: string): string => {
  const path = join(folder, name);
  cpSync(original, path, { recursive: true });
  return path;
};

/** Same random numbers every time. */
function* randoms(seed: number): Generator<number, never> {
  for (let state = seed; ; ) {
    state = (state * 48271) % 2147483647;
    yield state;
  }
}

const DAMAGES: Readonly<Record<string, (file: string, pages: number, random: Iterator<number, never>) => void>> = {
  "cut off": (file, pages, random) => truncateSync(file, 1 + (random.next().value % (pages * PAGE - 1))),
  "a page of zeros": (file, pages, random) => patch(file, random.next().value % pages, new Uint8Array(PAGE)),
  "half a page of another time": (file, pages, random) => {
    const other = readFileSync(file)
      .subarray((random.next().value % pages) * PAGE)
      .subarray(0, PAGE / 2);
    patch(file, random.next().value % pages, other);
  },
  "one bit": (file, pages, random) => {
    const page = random.next().value % pages;
    const at = random.next().value % PAGE;
    const bytes = readFileSync(file).subarray(page * PAGE, page * PAGE + PAGE);
    bytes[at]! ^= 1 << (random.next().value % 8);
    patch(file, page, bytes);
  },
};

function patch(file: string, page: number, bytes: Uint8Array): void {
  const all = readFileSync(file);
  all.set(bytes, page * PAGE);
  writeFileSync(file, all);
}

describe("a damaged state", { timeout: TIMEOUT }, () => {
  it("that is whole is recovered as it is, and goes on", async () => {
    const path = copyOf("whole");
    expect(await recoverState({ path, ...CRASH_STORES })).toEqual({
      height: BLOCKS,
      appHash: toHex(expected.appHash()),
    });
    const store = grow(LmdbCommitStore.open({ path, ...CRASH_STORES, pruneKeep: 5 }), BLOCKS + 5n);
    const other = grow(new MemoryCommitStore({ ...CRASH_STORES, pruneKeep: 5 }), BLOCKS + 5n);
    expect(store.appHash()).toEqual(other.appHash());
    store.close();
  });

  it.each(Object.keys(DAMAGES))("is recovered or refused after %s, and never another state", async (kind) => {
    const random = randoms(kind.length);
    const outcomes = await Promise.all(
      Array.from({ length: 3 }, async (_, round) => {
        const path = copyOf(`${kind} ${round}`);
        const file = join(path, "data.mdb");
        DAMAGES[kind]!(file, readFileSync(file).length / PAGE, random);
        const failed = await recoverState({ path, ...CRASH_STORES }).then(
          () => undefined,
          (error: { code?: string }) => error.code ?? "untyped",
        );
        if (failed !== undefined) return failed;
        const store = LmdbCommitStore.open({ path, ...CRASH_STORES, pruneKeep: 5 });
        // The last commit, or the one before where its record was what broke.
        expect([BLOCKS, BLOCKS - 1n]).toContain(store.height());
        grow(store, BLOCKS + 3n);
        const other = grow(new MemoryCommitStore({ ...CRASH_STORES, pruneKeep: 5 }), BLOCKS + 3n);
        expect(store.appHash()).toEqual(other.appHash());
        for (const name of CRASH_STORES.names) expect(content(store, name)).toEqual(content(other, name));
        store.close();
        return "recovered";
      }),
    );
    for (const outcome of outcomes) expect(["recovered", "corrupt_store"]).toContain(outcome);
  });

  it("is checked before it is opened where the machine went down, and only then", async () => {
    const path = copyOf("rebooted");
    const file = join(path, "data.mdb");
    const store = await LmdbCommitStore.openChecked({ path, ...CRASH_STORES });
    store.close();
    // A value that a block wrote, where it lies in the flat table.
    const all = readFileSync(file);
    for (let at = all.indexOf("value 40 "); at >= 0; at = all.indexOf("value 40 ", at + 1)) all[at]! ^= 1;
    writeFileSync(file, all);
    writeFileSync(join(path, "open"), "another boot");
    await expect(LmdbCommitStore.openChecked({ path, ...CRASH_STORES })).rejects.toMatchObject({
      code: "corrupt_store",
    });
  });
});

const CHILD = new URL("./testing/crashChild.ts", import.meta.url).pathname;
const children: ChildProcess[] = [];
afterAll(() => {
  for (const child of children) child.kill("SIGKILL");
});

/** With a limit on the size of files (KiB), and the signal for it ignored: writes then fail as on a full disk. */
function crashChild(path: string, limitKiB?: number): ChildProcess {
  const stdio = ["ignore", "ignore", "inherit", "ipc"] as const;
  const child =
    limitKiB === undefined
      ? spawn(process.execPath, [CHILD, path], { stdio: [...stdio] })
      : spawn("bash", ["-c", `trap '' XFSZ; ulimit -f ${limitKiB}; exec "$0" "$@"`, process.execPath, CHILD, path], {
          stdio: [...stdio],
        });
  children.push(child);
  return child;
}

/** The state at `path` is one that was committed, at least `least`, and goes on as it would have. */
function expectWhole(path: string, least: bigint): bigint {
  const store = LmdbCommitStore.open({ path, ...CRASH_STORES, pruneKeep: 5 });
  const height = store.height();
  expect(height).toBeGreaterThanOrEqual(least);
  const replay = grow(new MemoryCommitStore({ ...CRASH_STORES, pruneKeep: 5 }), height);
  expect(store.appHash()).toEqual(replay.appHash());
  for (const name of CRASH_STORES.names) expect(content(store, name)).toEqual(content(replay, name));
  if (height > 0n) {
    expect(new TextDecoder().decode(store.meta("height"))).toBe(`${height}`);
    verifyState(store);
    store.stage(height + 1n, blockOfHeight(height + 1n));
    replay.stage(height + 1n, blockOfHeight(height + 1n));
    store.setMeta("height", utf8(`${height + 1n}`));
    expect(store.commit().appHash).toEqual(replay.commit().appHash);
  }
  store.close();
  return height;
}

describe("a process that is killed", { timeout: TIMEOUT }, () => {
  it.each(["stage", "commit", "done"] as const)("in the phase %s leaves the last commit", async (phase) => {
    const path = join(folder, `killed in ${phase}`);
    let done = 0n;
    for (let round = 0; round < 3; round++) {
      const child = crashChild(path);
      const from = done;
      child.on("message", (message: CrashMessage) => {
        const height = BigInt(message.height);
        if (message.phase === "done") done = height > done ? height : done;
        // At another moment of the phase each time.
        if (message.phase !== phase || height < from + 5n) return;
        if (round === 0) child.kill("SIGKILL");
        else setTimeout(() => child.kill("SIGKILL"), round);
      });
      await once(child, "exit");
      done = expectWhole(path, done);
    }
    expect(done).toBeGreaterThan(10n);
  });
});

describe("a full disk", { timeout: TIMEOUT }, () => {
  it("refuses the block with a code and keeps the one before", async () => {
    const path = join(folder, "full");
    const child = crashChild(path, 400);
    const failures: CrashMessage[] = [];
    let done = 0n;
    child.on("message", (message: CrashMessage) => {
      if (message.phase === "done") done = BigInt(message.height);
      if (message.phase === "failed") failures.push(message);
    });
    await once(child, "exit");
    expect(done).toBeGreaterThan(3n);
    expect(failures.map(({ code }) => code)).toEqual(["commit_failed", "commit_failed"]);
    expect(BigInt(failures[0]!.height)).toBe(done + 1n);
    expectWhole(path, done);
  });
});
