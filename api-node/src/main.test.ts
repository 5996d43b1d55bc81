import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { encodeApiKey } from "@karat/client";
import { addressOfKey, newPrivateKey, publicKeyOf, toHex } from "@karat/common";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { readConfig } from "./config.ts";

let directory: string;
let keyFile: string;
const operator = addressOfKey(publicKeyOf(newPrivateKey()));
const processes: ChildProcess[] = [];
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "karat-api-"));
  keyFile = join(directory, "node-key");
  writeFileSync(keyFile, `${toHex(newPrivateKey())}\n`);
});
afterEach(async () => {
  for (const child of processes.splice(0)) {
    if (child.exitCode !== null || child.signalCode !== null) continue;
    child.kill("SIGKILL");
    await once(child, "exit");
  }
  rmSync(directory, { recursive: true, force: true });
});

function run(...args: string[]): ChildProcess {
  const main = new URL("./main.ts", import.meta.url).pathname;
  const child = spawn(process.execPath, [main, ...args], { stdio: ["ignore", "pipe", "pipe"] });
  processes.push(child);
  return child;
}

async function listening(child: ChildProcess): Promise<{ port: number; admin: number }> {
  for await (const line of createInterface({ input: child.stdout! })) {
    const parsed = JSON.parse(line);
    if (parsed.event === "listening") return parsed;
  }
  throw new Error("ended without listening");
}

describe("the process", () => {
  test("serves without a chain, says what is missing, and stops when asked to", async () => {
    // Port 9 (discard) is closed on any sane machine: a chain that does not answer.
    const args = ["--operator", operator, "--node-key", keyFile, "--rpc", "http://127.0.0.1:9", "--redis", "none"];
    const child = run(...args, "--data", join(directory, "data"), "--port", "0", "--admin-port", "0");
    const { port, admin } = await listening(child);
    const ready = await fetch(`http://127.0.0.1:${port}/readyz`);
    expect([ready.status, await ready.json()]).toEqual([
      503,
      { status: "not_ready", reasons: ["chain_unavailable", "no_ml_node"] },
    ]);
    const answer = await fetch(`http://127.0.0.1:${port}/v1/chat/completions`, {
      method: "POST",
      headers: { authorization: `Bearer ${encodeApiKey(newPrivateKey())}` },
      body: JSON.stringify({ model: "m", messages: [{ role: "user", content: "x" }] }),
    });
    expect([answer.status, answer.headers.get("retry-after")]).toEqual([503, "2"]);
    expect(await answer.json()).toMatchObject({ error: { code: "chain_unavailable" } });
    const metrics = await (await fetch(`http://127.0.0.1:${admin}/metrics`)).text();
    expect(metrics).toContain('karat_requests_total{endpoint="chat",code="chain_unavailable"} 1');
    const exit = once(child, "exit");
    child.kill("SIGTERM");
    expect(await exit).toEqual([0, null]);
  });

  test("a second process on the same data took the records of the first: it ends, and names the first", async () => {
    const args = ["--operator", operator, "--node-key", keyFile, "--rpc", "http://127.0.0.1:9", "--redis", "none"];
    const data = ["--data", join(directory, "data"), "--port", "0", "--admin-port", "0"];
    const first = run(...args, ...data);
    await listening(first);
    const second = run(...args, ...data);
    let said = "";
    second.stderr!.on("data", (chunk) => {
      said += chunk;
    });
    expect(await once(second, "exit")).toEqual([1, null]);
    expect(said).toContain(`process ${first.pid} has`);
    first.kill("SIGKILL");
    await once(first, "exit");
    await listening(run(...args, ...data)); // nothing of a killed one is in the way
  });

  test("tells its settings", async () => {
    const child = run("--help");
    let said = "";
    child.stdout!.on("data", (chunk) => {
      said += chunk;
    });
    expect(await once(child, "exit")).toEqual([0, null]);
    expect(said).toContain("--node-key");
  });

  test("ends with a sentence when a setting is wrong", async () => {
    const child = run("--operator", "nobody", "--node-key", keyFile);
    let said = "";
    child.stderr!.on("data", (chunk) => {
      said += chunk;
    });
    expect(await once(child, "exit")).toEqual([1, null]);
    expect(said).toContain("--operator");
  });
});

describe("settings", () => {
  const option = (args: string[], env: Record<string, string> = {}): unknown => {
    try {
      return readConfig(["--operator", operator, "--node-key", keyFile, ...args], env);
    } catch (error) {
      return (error as { data?: { option?: string } }).data?.option;
    }
  };

  test("come from flags, then the environment, then defaults", () => {
    const env = { KARAT_API_PORT: "99", KARAT_API_ADMIN_PORT: "98", KARAT_API_ML: "http://a,http://b" };
    expect(option(["--port", "100"], env)).toMatchObject({
      port: 100,
      adminPort: 98,
      mlUrls: ["http://a", "http://b"],
    });
    expect(option([])).toMatchObject({ port: 8080, redisUrl: "redis://127.0.0.1:6379", mlUrls: [] });
    expect(option(["--redis", "none", "--ml", "http://a", "--ml", "http://b"])).toMatchObject({
      redisUrl: undefined,
      mlUrls: ["http://a", "http://b"],
    });
  });

  test("name models in other words", () => {
    expect(option(["--alias", "gpt-4o=a", "--alias", "gpt-5=b=c"])).toMatchObject({
      aliases: new Map([
        ["gpt-4o", "a"],
        ["gpt-5", "b=c"],
      ]),
    });
  });

  test.each([
    [["--port", "x"], "port"],
    [["--rpc", "nonsense"], "rpc"],
    [["--ml", "ftp://x"], "ml"],
    [["--node-key", "/nowhere"], "node-key"],
    [["--admin-host", "0.0.0.0"], "admin-token"],
    [["--alias", "gpt-4o"], "alias"],
    [["--alias", "=karat-tiny"], "alias"],
    [["--alias", "gpt-4o="], "alias"],
  ])("%j is refused by name", (args, name) => {
    expect(option(args)).toBe(name);
  });
});
