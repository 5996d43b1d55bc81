/** Ends exactly the processes that `up` started. State stays; `--purge` removes the directory too. */
import { rmSync } from "node:fs";
import { Network } from "./lib/network.ts";
import { readOptions } from "./lib/options.ts";
import { print, runScript } from "./lib/run.ts";

await runScript(async () => {
  const options = readOptions(process.argv.slice(2), { purge: { type: "boolean" } });
  const network = Network.open(options.dir);
  if (!network) return print(`no network in ${options.dir}`);
  const running = network.processes.filter((ref) => ref.alive).length;
  await network.stop();
  if (options.flags.purge) rmSync(options.dir, { recursive: true });
  print(
    `✓ ended ${running} processes${options.flags.purge ? ` and removed ${options.dir}` : `; state is kept in ${options.dir}`}`,
  );
});
