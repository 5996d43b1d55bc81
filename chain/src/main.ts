#!/usr/bin/env node
import { registry } from "./chainRegistry/index.ts";
import { checkState } from "./cli/check.ts";
import { exportState } from "./cli/export.ts";
import { init } from "./cli/init.ts";
import { proveConsensusKey } from "./cli/prove.ts";
import { start } from "./cli/start.ts";
import { reportFailure, usageError } from "./cli/usage.ts";

const commands: Readonly<Record<string, (args: readonly string[]) => Promise<void>>> = {
  init,
  start,
  export: exportState,
  check: checkState,
  "prove-consensus-key": proveConsensusKey,
  registry,
};

const [name, ...args] = process.argv.slice(2);
try {
  const command = commands[name ?? ""];
  if (command === undefined) throw usageError(`the command is one of ${Object.keys(commands).join(", ")}`, { name });
  await command(args);
} catch (error) {
  process.exitCode = reportFailure(error);
}
