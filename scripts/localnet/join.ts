/** Adds a chain node to a running network of CometBFT validators: it takes the state from a snapshot and follows. */
import { url } from "./lib/layout.ts";
import { Network } from "./lib/network.ts";
import { readOptions, UsageError } from "./lib/options.ts";
import { print, runScript } from "./lib/run.ts";

await runScript(async () => {
  const options = readOptions(process.argv.slice(2));
  const network = Network.open(options.dir);
  if (!network)
    throw new UsageError(`no network in ${options.dir}; start one with scripts/localnet/up --engine cometbft`);
  const began = Date.now();
  const { index, ports } = await network.join();
  print(
    `✓ chain-${index} has joined by state sync (${((Date.now() - began) / 1000).toFixed(1)} s): RPC ${url(ports.rpc)}`,
  );
});
