/** The commands of the README, as a newcomer runs them. */
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import OpenAI from "openai";
import { afterAll, expect, test } from "vitest";
import { freePortBase } from "../../scripts/localnet/lib/layout.ts";

const root = join(import.meta.dirname, "../..");
const dir = mkdtempSync(join(tmpdir(), "karat-scripts-"));
const base = String(await freePortBase());

interface Outcome {
  readonly code: number;
  readonly out: string;
}

const script = (name: string, ...args: string[]): Promise<Outcome> =>
  new Promise((resolve) => {
    execFile(join(root, "scripts/localnet", name), args, { cwd: root, timeout: 220_000 }, (error, stdout, stderr) => {
      resolve({ code: error ? Number(error.code ?? 1) : 0, out: stdout + stderr });
    });
  });

afterAll(async () => {
  await script("down", "--dir", dir);
  rmSync(dir, { recursive: true, force: true });
});

test("before there is a network, status says how to get one", async () => {
  expect(await script("status", "--dir", dir)).toMatchObject({ code: 2 });
});

test("up ends with an inference that was recorded, verified and settled", async () => {
  const { code, out } = await script("up", "--dir", dir, "--port-base", base, "--block-time-ms", "300");
  expect(out).toMatch(/re-checked by karat1.*: VALID/);
  expect(out).toMatch(/settled at height \d+/);
  expect(code).toBe(0);
});

test("status tells a program where everything is, and what it tells works", async () => {
  const { code, out } = await script("status", "--dir", dir, "--json");
  expect(code).toBe(0);
  const status = JSON.parse(out) as {
    endpoint: string;
    apiKey: string;
    model: string;
    rpc: string;
    rest: string;
    participants: object[];
  };
  expect(status.participants).toHaveLength(4);
  expect(status.participants[0]).toMatchObject({
    address: expect.stringMatching(/^karat1/),
    api: expect.any(String),
    ml: expect.any(String),
    sidecar: expect.any(String),
  });
  const client = new OpenAI({ baseURL: status.endpoint, apiKey: status.apiKey });
  const answer = await client.chat.completions.create({
    model: status.model,
    messages: [{ role: "user", content: "hi" }],
    max_tokens: 4,
  });
  expect(answer.choices).toHaveLength(1);
  expect((await fetch(`${status.rest}/cosmos/base/tendermint/v1beta1/node_info`)).status).toBe(200);
});

test("chat prints an answer and who gave it", async () => {
  const { code, out } = await script("chat", "--dir", dir, "What", "does", "open(2)", "do?");
  expect(code).toBe(0);
  expect(out).toMatch(/inference [0-9a-f]{64} by karat1/);
});

test("a second up resumes: nothing is started twice, and after down everything is again with its state", async () => {
  const pids = async (): Promise<number[]> => {
    const { processes } = JSON.parse((await script("status", "--dir", dir, "--json")).out) as {
      processes: { pid: number }[];
    };
    return processes.map(({ pid }) => pid).sort();
  };
  const before = await pids();
  expect((await script("up", "--dir", dir, "--no-proof")).code).toBe(0);
  expect(await pids()).toEqual(before);
  expect((await script("down", "--dir", dir)).code).toBe(0);
  expect((await script("status", "--dir", dir, "--json")).code).toBe(3);
  expect((await script("up", "--dir", dir, "--no-proof")).code).toBe(0);
  expect((await pids()).some((pid) => before.includes(pid))).toBe(false);
});

test("a port that is taken is named, with what to do", async () => {
  const second = mkdtempSync(join(tmpdir(), "karat-scripts-"));
  const { code, out } = await script("up", "--dir", join(second, "net"), "--port-base", base);
  expect(code).toBe(2);
  expect(out).toContain("--port-base");
  rmSync(second, { recursive: true, force: true });
});

test.each([
  ["up", "--participants", "0"],
  ["up", "--colour", "red"],
  ["demo", "steal"],
  ["chat", "--dir", "/nowhere"],
])("%s %s %s is a mistake of usage", async (name, ...args) => {
  expect((await script(name, ...args)).code).toBe(2);
});
