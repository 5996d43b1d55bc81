import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { DirectSecp256k1Wallet } from "@cosmjs/proto-signing";
import { SigningStargateClient } from "@cosmjs/stargate";
import { DENOM } from "@karat/common";
import { createKaratRegistry } from "@karat/proto";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { buildGenesis } from "../app/genesis.ts";
import { type Signer, signerOf, TEST_MODEL, testParticipant } from "../app/testing/index.ts";
import { ed25519Key } from "../engine/index.ts";
import { LOCALNET_PARAMS } from "../modules/params/index.ts";
import { exportState } from "./export.ts";
import { homePaths, readValidatorKey, writeValidatorKey } from "./home.ts";
import { init } from "./init.ts";
import { start } from "./start.ts";

const MAIN = fileURLToPath(new URL("../main.ts", import.meta.url));
const client = signerOf("cli client");
const key = ed25519Key(new Uint8Array(32).fill(7));

let dir: string;
const children: ChildProcess[] = [];

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "karat-cli-"));
});

afterEach(async () => {
  for (const child of children.splice(0)) {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill("SIGKILL");
      await once(child, "exit");
    }
  }
  rmSync(dir, { recursive: true });
});

interface Line {
  event?: string;
  [name: string]: unknown;
}

function launch(...args: string[]): ChildProcess {
  const child = spawn(process.execPath, [MAIN, ...args], { stdio: ["ignore", "pipe", "pipe"] });
  children.push(child);
  return child;
}

/** The command's status and what it said: JSON lines with an event. */
async function run(...args: string[]): Promise<{ status: number | null; out: string; failure: Line | undefined }> {
  const child = launch(...args);
  let out = "";
  let err = "";
  child.stdout!.on("data", (chunk) => {
    out += chunk;
  });
  child.stderr!.on("data", (chunk) => {
    err += chunk;
  });
  const [status] = await once(child, "close");
  const failure = err.split("\n").find((line) => line.startsWith('{"event":"failed"'));
  return { status, out, failure: failure === undefined ? undefined : JSON.parse(failure) };
}

/** Waits for an event on stdout; rejects where the process ends before. */
async function event(child: ChildProcess, name: string): Promise<Line> {
  for await (const text of createInterface({ input: child.stdout! })) {
    const line = text.startsWith("{") ? (JSON.parse(text) as Line) : {};
    if (line.event === name) return line;
  }
  throw new Error(`the process ended before ${name}`);
}

function writeGenesis(): string {
  const participant = testParticipant(0);
  const genesis = buildGenesis({
    chainId: "karat-cli",
    timeMs: Date.now(),
    accounts: [{ address: client.address, amount: 1_000_000_000n }],
    participants: [
      {
        operator: participant.operator.address,
        nodeKey: participant.node.publicKey,
        validatorAddress: participant.validator.address,
        consensusKey: key.publicKey,
        url: "http://127.0.0.1:8000",
        collateral: 1_000_000_000n,
        offers: [{ model: TEST_MODEL.id, inputPrice: 1n, outputPrice: 2n, capacity: 10n }],
      },
    ],
    params: LOCALNET_PARAMS,
    models: [TEST_MODEL],
  });
  const path = join(dir, "genesis-to-be.json");
  writeFileSync(path, JSON.stringify(genesis));
  return path;
}

async function connect(rpc: string, signer: Signer): Promise<SigningStargateClient> {
  const wallet = await DirectSecp256k1Wallet.fromKey(signer.privateKey, "karat");
  return SigningStargateClient.connectWithSigner(rpc, wallet, {
    registry: createKaratRegistry(),
    broadcastPollIntervalMs: 100,
  });
}

describe("the command line", () => {
  const codeOf = (command: Promise<void>) => command.then(() => "done").catch((error: { code: string }) => error.code);

  test.each([
    ["an option that is missing", () => start(["--home", dir])],
    ["an unknown option", () => start(["--home", dir, "--engine", "solo", "--what", "x"])],
    ["an unknown engine", () => start(["--home", dir, "--engine", "none"])],
    ["an address without a port", () => start(["--home", dir, "--engine", "solo", "--rpc", "localhost"])],
    ["a number out of range", () => start(["--home", dir, "--engine", "solo", "--block-time-ms", "0"])],
    ["a word too many", () => init(["--home", dir, "more"])],
  ])("refuses %s", async (_, command) => {
    expect(await codeOf(command())).toBe("usage");
  });

  test("refuses to start, or to export, what was not initialised", async () => {
    expect(await codeOf(start(["--home", dir, "--engine", "solo", "--log-level", "silent"]))).toBe("home_missing");
    expect(await codeOf(exportState(["--home", dir]))).toBe("home_missing");
  });

  test("refuses a genesis of another chain, and a key over another one", async () => {
    const genesis = writeGenesis();
    expect(await codeOf(init(["--home", dir, "--genesis", genesis, "--chain-id", "karat-other"]))).toBe("wrong_chain");
    await writeValidatorKey(dir, key.seed);
    await expect(writeValidatorKey(dir, new Uint8Array(32))).rejects.toMatchObject({ code: "key_exists" });
    writeFileSync(homePaths(dir).validatorKey, "{}");
    await expect(readValidatorKey(dir)).rejects.toMatchObject({ code: "bad_key" });
  });

  test("ends with 2 for a mistake on it, and says so in one JSON line", async () => {
    const { status, failure } = await run("dance");
    expect([status, failure?.code]).toEqual([2, "usage"]);
  });
});

test("a solo node takes CosmJS transactions, survives SIGTERM and SIGKILL, and exports its state", async () => {
  const home = join(dir, "home");
  await writeValidatorKey(home, key.seed);
  const initialised = await run("init", "--home", home, "--genesis", writeGenesis(), "--chain-id", "karat-cli");
  expect(initialised.status).toBe(0);
  expect(JSON.parse(initialised.out)).toMatchObject({ event: "initialised", chainId: "karat-cli" });

  const args = ["start", "--home", home, "--engine", "solo", "--rpc", "127.0.0.1:0", "--block-time-ms", "50"];
  const more = ["--check-invariants", "yes", "--log-level", "warn", "--snapshot-interval", "2"];
  const receiver = signerOf("receiver").address;
  const heights: number[] = [];
  const runs = [
    { amount: "7", signal: "SIGKILL", exit: [null, "SIGKILL"] },
    { amount: "5", signal: "SIGTERM", exit: [0, null] },
  ] as const;
  for (const { amount, signal, exit } of runs) {
    const node = launch(...args, ...more);
    const { rpc } = await event(node, "listening");
    const stargate = await connect(String(rpc), client);
    heights.push(await stargate.getHeight());
    const fee = { amount: [{ denom: DENOM, amount: "5000" }], gas: "200000" };
    const result = await stargate.sendTokens(client.address, receiver, [{ denom: DENOM, amount }], fee, "memo");
    expect(result.code).toBe(0);
    const found = await stargate.searchTx([{ key: "transfer.recipient", value: receiver }]);
    expect(found.map(({ hash }) => hash)).toContain(result.transactionHash);
    heights.push(await stargate.getHeight());
    stargate.disconnect();
    node.kill(signal);
    expect(await once(node, "exit")).toEqual(exit);
  }
  expect(heights[2]).toBeGreaterThanOrEqual(heights[1]!);

  const checked = await run("check", "--home", home);
  expect([checked.status, JSON.parse(checked.out)]).toEqual([
    0,
    { event: "checked", height: expect.stringMatching(/^\d+$/), appHash: expect.stringMatching(/^[0-9a-f]{64}$/) },
  ]);
  const exported = await run("export", "--home", home);
  expect(exported.status).toBe(0);
  const { app_state: state } = JSON.parse(exported.out);
  expect(state.bank.balances).toContainEqual({ address: receiver, coins: [{ denom: DENOM, amount: "12" }] });

  const genesis = JSON.parse(readFileSync(join(home, "config", "genesis.json"), "utf8"));
  expect(genesis.validators).toMatchObject([{ power: "10" }]);
}, 120_000);
