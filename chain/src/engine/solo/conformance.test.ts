import { join } from "node:path";
import { afterAll } from "vitest";
import { CONFORMANCE_CHAIN, engineConformance } from "../conformance.ts";
import { singleValidatorGenesis } from "../consensus/genesis.ts";
import { ed25519Key } from "../consensus/keys.ts";
import { KvApp } from "../testing/kv-app.ts";
import { temporaryFolder } from "../testing/temporary.ts";
import { SoloEngine } from "./engine.ts";

const folder = temporaryFolder();
afterAll(() => folder.remove());

engineConformance("the solo engine", () => {
  const seed = new Uint8Array(32).fill(7);
  const timeMs = Date.now() - 1_000;
  return SoloEngine.open({
    application: new KvApp(join(folder.path, "app")),
    genesis: singleValidatorGenesis({
      chainId: CONFORMANCE_CHAIN,
      timeMs,
      validator: ed25519Key(seed),
      appState: {},
    }),
    dir: join(folder.path, "blocks"),
    validatorKey: seed,
    blockTimeMs: 30,
    rpc: { host: "127.0.0.1", port: 0 },
  });
});
