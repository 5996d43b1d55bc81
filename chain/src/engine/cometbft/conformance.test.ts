import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { CONFORMANCE_CHAIN, engineConformance } from "../conformance.ts";
import { singleValidatorGenesis } from "../consensus/genesis.ts";
import { ed25519Key } from "../consensus/keys.ts";
import { KvApp } from "../testing/kv-app.ts";
import { temporaryFolder } from "../testing/temporary.ts";
import { findCometBft } from "./binary.ts";
import { CometEngine } from "./supervisor.ts";

const binary = await findCometBft();
const folder = temporaryFolder();
afterAll(() => folder.remove());

if (binary === undefined) {
  console.warn(
    "NOT TESTED: no CometBFT v0.38 on PATH or in the cache folder, so the engine every network runs was not checked",
  );
  test.skipIf(process.env.CI !== "true")("CometBFT is there, for without it this engine goes untested", () => {
    expect.unreachable("CometBFT is missing");
  });
} else {
  engineConformance("CometBFT", () => {
    const seed = new Uint8Array(32).fill(7);
    return CometEngine.open({
      binary,
      openApplication: async () => new KvApp(join(folder.path, "app")),
      genesis: singleValidatorGenesis({
        chainId: CONFORMANCE_CHAIN,
        timeMs: Date.now() - 1_000,
        validator: ed25519Key(seed),
        appState: {},
      }),
      dir: join(folder.path, "comet"),
      validatorKey: seed,
      rpc: { host: "127.0.0.1", port: 0 },
      blockTimeMs: 100,
    });
  });
}
