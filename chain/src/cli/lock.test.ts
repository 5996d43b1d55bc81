import { spawn } from "node:child_process";
import { once } from "node:events";
import { afterEach, expect, test } from "vitest";
import { temporaryFolder } from "../engine/testing/temporary.ts";
import { exportState } from "./export.ts";
import { lockHome } from "./lock.ts";
import { start } from "./start.ts";
import { testChain } from "./testing/nodes.ts";

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

function newFolder(): string {
  const folder = temporaryFolder();
  cleanups.push(folder.remove);
  return folder.path;
}

const failure = (job: Promise<unknown>) =>
  job.then(
    () => undefined,
    (error: { code: string; data: object }) => ({ code: error.code, data: error.data }),
  );

test("one process has a home, and the other is told which", async () => {
  const home = newFolder();
  const lock = await lockHome(home);
  const taken = { code: "home_locked", data: { home, pid: process.pid } };
  expect(await failure(lockHome(home))).toEqual(taken);
  lock.release();
  (await lockHome(home)).release();
});

test("a process that was killed holds nothing any more", async () => {
  const home = newFolder();
  const script = `import { lockHome } from ${JSON.stringify(new URL("./lock.ts", import.meta.url).href)};
    await lockHome(process.argv[1]); console.log("locked"); setInterval(() => {}, 1e6);`;
  const child = spawn(process.execPath, ["--input-type=module-typescript", "-e", script, home], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  cleanups.push(() => child.kill("SIGKILL"));
  await once(child.stdout, "data");
  expect(await failure(lockHome(home))).toEqual({ code: "home_locked", data: { home, pid: child.pid } });
  child.kill("SIGKILL");
  await once(child, "exit");
  (await lockHome(home)).release();
});

test("neither a second node nor an export touches the home of a running node", async () => {
  const { nodes, close } = await testChain({
    dir: newFolder(),
    chainId: "karat-lock",
    validators: 1,
    engine: "solo",
    blockTimeMs: 100,
  });
  cleanups.push(close);
  const node = nodes[0]!;
  await node.start();
  const { home } = node.options;
  const taken = { code: "home_locked", data: { home, pid: node.pid } };
  for (const engine of ["solo", "cometbft"]) {
    const args = ["--home", home, "--engine", engine, "--rpc", "127.0.0.1:0", "--log-level", "silent"];
    expect(await failure(start(args))).toEqual(taken);
  }
  expect(await failure(exportState(["--home", home]))).toEqual(taken);
});
