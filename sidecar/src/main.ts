/** The sidecar process: `node sidecar/src/main.ts --rpc … --ml … --api … --operator … --key … --data …`. */
import { createLogger, isKaratError } from "@karat/common";
import { readConfig } from "./config.ts";
import { runSidecar } from "./sidecar.ts";

const stop = new AbortController();
for (const name of ["SIGINT", "SIGTERM"] as const) process.once(name, () => stop.abort());

try {
  const config = readConfig(process.argv.slice(2), process.env);
  await runSidecar(config, createLogger("sidecar", config.logLevel), stop.signal, (port) => {
    process.stdout.write(`${JSON.stringify({ event: "listening", port })}\n`);
  });
} catch (error) {
  if (!stop.signal.aborted) {
    process.stderr.write(isKaratError(error) ? `${error.code}: ${error.message}\n` : `${(error as Error).stack}\n`);
    process.exitCode = 1;
  }
}
