// A solo engine as a process of its own, for tests that kill it: node solo-process.ts '{"dir", "dieAt"?}'.
// Prints the RPC's address as one line when it is ready.
import { join } from "node:path";
import { SoloEngine } from "../solo/engine.ts";
import { crashOptions } from "./crash.ts";
import { KvApp, type KvFaults } from "./kv-app.ts";

const { dir, dieAt } = JSON.parse(process.argv[2] ?? "{}") as {
  dir: string;
  dieAt?: { height: string; point: string };
};
const faults = (dieAt ? { dieAt: { ...dieAt, height: BigInt(dieAt.height) } } : {}) as KvFaults;
const engine = await SoloEngine.open({ ...crashOptions(dir), application: new KvApp(join(dir, "app"), faults) });
console.log(engine.rpcUrl);
await engine.finished;
