/** Re-checks an inference of the running network on a participant's ML node: `verify <inference id> [--plot out.svg]`. */
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { rpcOf, url } from "./lib/layout.ts";
import { Network } from "./lib/network.ts";
import { readOptions, UsageError } from "./lib/options.ts";
import { runScript } from "./lib/run.ts";

await runScript(async () => {
  const options = readOptions(process.argv.slice(2), { plot: { type: "string" }, participant: { type: "string" } });
  const [id] = options.rest;
  if (id === undefined)
    throw new UsageError("usage: scripts/localnet/verify <inference id> [--participant 0] [--plot out.svg] [--json]");
  const network = Network.open(options.dir);
  if (!network) throw new UsageError(`no network in ${options.dir}; start one with scripts/localnet/up`);
  const participant = network.plan.participants[Number(options.flags.participant ?? 0)];
  if (!participant) throw new UsageError("--participant: no such participant");
  const { ports } = participant;
  const { plot } = options.flags;
  const { status } = spawnSync(
    process.execPath,
    [
      "--disable-warning=ExperimentalWarning",
      join(import.meta.dirname, "../../sidecar/src/verifyMain.ts"),
      ...["--rpc", rpcOf(network.plan), "--ml", url(ports.ml), "--api", url(ports.admin)],
      ...(typeof plot === "string" ? ["--plot", plot] : []),
      ...(options.json ? ["--json"] : []),
      id,
    ],
    { stdio: "inherit" },
  );
  process.exitCode = status ?? 1;
});
