import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { singleValidatorGenesis } from "../consensus/genesis.ts";
import { ed25519Key } from "../consensus/keys.ts";
import type { SoloOptions } from "../solo/engine.ts";
import type { KvFaults } from "./kv-app.ts";

const SEED = new Uint8Array(32).fill(3);

/** The options under which tests start the same chain again and again, in this process or another. */
export const crashOptions = (dir: string): Omit<SoloOptions, "application"> => ({
  genesis: singleValidatorGenesis({
    chainId: "crash-1",
    timeMs: 1_700_000_000_000,
    validator: ed25519Key(SEED),
    appState: { start: "1" },
  }),
  dir: join(dir, "blocks"),
  validatorKey: SEED,
  blockTimeMs: 5,
  rpc: { host: "127.0.0.1", port: 0 },
});

/** Starts `solo-process.ts`; `ready` gives the RPC's address, or undefined when it died first. */
export function startSolo(
  dir: string,
  dieAt?: KvFaults["dieAt"],
): { child: ChildProcess; ready: Promise<string | undefined>; died: Promise<NodeJS.Signals | null> } {
  const script = new URL("./solo-process.ts", import.meta.url).pathname;
  const argument = JSON.stringify({ dir, ...(dieAt && { dieAt: { ...dieAt, height: dieAt.height.toString() } }) });
  const child = spawn(process.execPath, [script, argument], { stdio: ["ignore", "pipe", "inherit"] });
  const died = once(child, "exit").then(([, signal]) => signal as NodeJS.Signals | null);
  const line = once(createInterface({ input: child.stdout! }), "line").then(([text]) => text as string);
  return { child, ready: Promise.race([line, died.then(() => undefined)]), died };
}
