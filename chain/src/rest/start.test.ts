import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { afterEach, expect, test } from "vitest";
import { buildGenesis } from "../app/genesis.ts";
import { signerOf } from "../app/testing/index.ts";
import { writeHomeGenesis, writeValidatorKey } from "../cli/home.ts";
import { ed25519Key } from "../engine/index.ts";
import { temporaryFolder } from "../engine/testing/temporary.ts";
import { get } from "./testing/client.ts";

const MAIN = fileURLToPath(new URL("../main.ts", import.meta.url));
const folder = temporaryFolder();
const children: ChildProcess[] = [];

afterEach(async () => {
  for (const child of children.splice(0)) {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill("SIGKILL");
      await once(child, "exit");
    }
  }
  folder.remove();
});

async function listening(child: ChildProcess): Promise<{ rest?: string }> {
  for await (const text of createInterface({ input: child.stdout! })) {
    const line = text.startsWith("{") ? (JSON.parse(text) as { event?: string; rest?: string }) : {};
    if (line.event === "listening") return line;
  }
  throw new Error("the process ended before it listened");
}

test("start --rest serves REST beside the RPC, and SIGTERM ends both", async () => {
  const home = join(folder.path, "home");
  const key = ed25519Key(new Uint8Array(32).fill(5));
  const { address } = signerOf("rest account");
  const validators = [{ publicKey: key.publicKey, power: 10n }];
  const accounts = [{ address, amount: 42n }];
  await writeHomeGenesis(home, buildGenesis({ chainId: "karat-rest", timeMs: Date.now(), accounts, validators }));
  await writeValidatorKey(home, key.seed);
  const ports = ["--rpc", "127.0.0.1:0", "--rest", "127.0.0.1:0"];
  const args = [MAIN, "start", "--home", home, "--engine", "solo", ...ports, "--log-level", "warn"];
  const node = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
  children.push(node);
  const { rest } = await listening(node);
  const balances = await get(rest!, `/cosmos/bank/v1beta1/balances/${address}`);
  expect(balances.body.balances).toEqual([{ denom: "ukarat", amount: "42" }]);
  const info = await get(rest!, "/cosmos/base/tendermint/v1beta1/node_info");
  expect(info.body.default_node_info.network).toBe("karat-rest");
  node.kill("SIGTERM");
  expect(await once(node, "exit")).toEqual([0, null]);
});
