#!/usr/bin/env node
/** The process of an API node. Prints one JSON line {"event":"listening",…} when it serves; SIGTERM and SIGINT drain it. */
import { KaratError } from "@karat/common";
import { OPTIONS, readConfig } from "./config.ts";
import { startNode } from "./process.ts";

if (process.argv.includes("--help")) {
  for (const [name, meaning] of Object.entries(OPTIONS)) process.stdout.write(`--${name.padEnd(20)} ${meaning}\n`);
  process.exit(0);
}
try {
  const node = await startNode(readConfig(process.argv.slice(2), process.env));
  process.stdout.write(`${JSON.stringify({ event: "listening", port: node.port, admin: node.adminPort })}\n`);
  let stopping = false;
  const stop = (): void => {
    if (stopping) process.exit(1); // asked twice: at once
    stopping = true;
    node.stop().then(
      () => process.exit(0),
      (error) => {
        process.stderr.write(`${String(error)}\n`);
        process.exit(1);
      },
    );
  };
  process.on("SIGTERM", stop);
  process.on("SIGINT", stop);
} catch (error) {
  process.stderr.write(`${error instanceof KaratError ? error.message : String(error)}\n`);
  process.exit(1);
}
