/** What runs where. `--json` prints one object for programs; exit code 3 when something of the network does not run. */
import { rpcOf, url } from "./lib/layout.ts";
import { Network } from "./lib/network.ts";
import { readOptions, UsageError } from "./lib/options.ts";
import { print, runScript } from "./lib/run.ts";

await runScript(async () => {
  const options = readOptions(process.argv.slice(2));
  const network = Network.open(options.dir);
  if (!network) throw new UsageError(`no network in ${options.dir}; start one with scripts/localnet/up`);
  const { plan, processes } = network;
  const alive = processes.filter((ref) => ref.alive).length;
  const running = alive > 0 && alive === processes.length;
  if (!running) process.exitCode = 3;
  if (options.json) {
    const participants = plan.participants.map(({ address, ports }) => ({
      address,
      api: url(ports.api),
      ml: url(ports.ml),
      sidecar: url(ports.sidecar),
      admin: url(ports.admin),
    }));
    const { endpoint, apiKey } = network;
    const state = {
      endpoint,
      apiKey,
      model: plan.model,
      rpc: rpcOf(plan),
      rest: url(plan.chains[0]!.ports.rest),
      participants,
      chainId: plan.chainId,
      client: plan.client,
      running,
    };
    return print(
      JSON.stringify({
        ...state,
        processes: processes.map(({ name, pid, alive, log }) => ({ name, pid, alive, log })),
      }),
    );
  }
  const some = `${alive} of ${processes.length} processes run, up starts the rest`;
  const summary = running ? "running" : alive === 0 ? "not running" : some;
  print(`${plan.chainId} (${plan.engine}) in ${options.dir}: ${summary}`);
  for (const { name, pid, alive, log } of processes)
    print(`  ${alive ? "●" : "○"} ${name.padEnd(10)} pid ${String(pid).padEnd(7)} ${log}`);
});
