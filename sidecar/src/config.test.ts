import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { newPrivateKey, silentLogger, toHex } from "@karat/common";
import { lockFolder } from "@karat/common/lock";
import { describe, expect, test } from "vitest";
import { readConfig } from "./config.ts";
import { fileCursor } from "./cursor.ts";
import { runSidecar } from "./sidecar.ts";

const good = [
  "--rpc",
  "http://127.0.0.1:1",
  "--ml",
  "http://127.0.0.1:2",
  "--api",
  "http://127.0.0.1:3",
  "--operator",
  "karat1x",
  "--key",
  "k",
  "--data",
  "d",
];
const problemsOf = (argv: string[], env: NodeJS.ProcessEnv = {}): unknown => {
  try {
    readConfig(argv, env);
  } catch (error) {
    const { code, data } = error as { code: string; data: { problems?: string[] } };
    return [code, (data.problems ?? []).map((problem) => problem.split(":")[0])];
  }
  return "accepted";
};

describe("settings", () => {
  test("come from flags before the environment, with defaults", () => {
    const config = readConfig(good, {
      KARAT_SIDECAR_RPC: "http://127.0.0.1:9",
      KARAT_SIDECAR_PORT: "77",
      KARAT_SIDECAR_ML_TOKEN: "t",
    });
    expect(config).toMatchObject({
      rpc: "http://127.0.0.1:1",
      port: 77,
      host: "127.0.0.1",
      concurrency: 2,
      mlToken: "t",
    });
  });

  test("that are missing or wrong are named, all at once", () => {
    expect(problemsOf(["--rpc", "nowhere", "--operator", "cosmos1x", "--port", "70000"])).toEqual([
      "invalid_config",
      ["--rpc", "--ml", "--api", "--operator", "--key", "--data", "--port"],
    ]);
    expect(problemsOf([...good, "--colour", "red"])).toEqual(["invalid_config", []]);
  });
});

test("the cursor survives a restart, and an unreadable one is none", () => {
  const dir = mkdtempSync(join(tmpdir(), "karat-cursor-"));
  const path = join(dir, "deep", "cursor");
  expect(fileCursor(path).load()).toBeUndefined();
  fileCursor(path).save(42n);
  expect(fileCursor(path).load()).toBe(42n);
  writeFileSync(path, "garbage");
  expect(fileCursor(path).load()).toBeUndefined();
  rmSync(dir, { recursive: true });
});

test("a second sidecar on the same data signed beside the first: it is refused", async () => {
  const data = mkdtempSync(join(tmpdir(), "karat-sidecar-"));
  const key = join(data, "key");
  writeFileSync(key, toHex(newPrivateKey()));
  const lock = lockFolder(data);
  const config = readConfig([...good, "--data", data, "--key", key], {});
  const started = runSidecar(config, silentLogger, new AbortController().signal, () => undefined);
  await expect(started).rejects.toMatchObject({ code: "folder_locked" });
  lock.release();
  rmSync(data, { recursive: true });
});

test("a setting that was left out was said to be of a wrong type", () => {
  const problems = (): unknown => {
    try {
      return readConfig(good.slice(2), {});
    } catch (error) {
      return (error as { data: unknown }).data;
    }
  };
  expect(problems()).toEqual({ problems: ["--rpc: is needed"] });
});
