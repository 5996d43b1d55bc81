import { readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { type GenesisJson, singleValidatorGenesis } from "../consensus/genesis.ts";
import { ed25519Key } from "../consensus/keys.ts";
import { temporaryFolder } from "../testing/temporary.ts";
import { type CometSettings, nodeIdOf, writeCometHome } from "./home.ts";

const folder = temporaryFolder();
afterAll(() => folder.remove());

const key = ed25519Key(new Uint8Array(32).fill(1));
const genesis = singleValidatorGenesis({ chainId: "home-1", timeMs: 0, validator: key, appState: {} });
const settings: CometSettings = {
  moniker: 'a "quoted" name',
  proxyApp: "tcp://127.0.0.1:1",
  rpcListen: "tcp://127.0.0.1:2",
  p2pListen: "tcp://127.0.0.1:3",
  persistentPeers: ["aa@h:1", "bb@h:2"],
  blockTimeMs: 1_500,
  blockTimeIdleMs: 60_000,
  logLevel: "error",
};
const read = (...path: string[]) => readFileSync(join(folder.path, ...path), "utf8");

test("a home is written, again and again, and only the signing state is left as it is", async () => {
  const write = () => writeCometHome({ home: folder.path, genesis, validatorKey: key, nodeKey: key, settings });
  await write();
  const state = join(folder.path, "data", "priv_validator_state.json");
  expect(JSON.parse(readFileSync(state, "utf8"))).toEqual({ height: "0", round: 0, step: 0 });
  const signed = JSON.stringify({ height: "12", round: 0, step: 3 });
  writeFileSync(state, signed);
  writeFileSync(join(folder.path, "config", "genesis.json"), "{}");
  await write();
  expect(readFileSync(state, "utf8")).toBe(signed);
  expect((JSON.parse(read("config", "genesis.json")) as GenesisJson).chain_id).toBe("home-1");
});

test("keys are for the owner's eyes only, and the configuration says what was asked", () => {
  for (const file of ["priv_validator_key.json", "node_key.json"]) {
    expect(statSync(join(folder.path, "config", file)).mode & 0o077).toBe(0);
  }
  const config = read("config", "config.toml");
  expect(config).toContain('moniker = "a \\"quoted\\" name"');
  expect(config).toContain('persistent_peers = "aa@h:1,bb@h:2"');
  expect(config).toContain('timeout_commit = "1500ms"');
  expect(config).toContain('create_empty_blocks_interval = "60000ms"');
  expect(nodeIdOf(key)).toMatch(/^[0-9a-f]{40}$/);
});
