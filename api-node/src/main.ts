#!/usr/bin/env node
/** The process of an API node. Prints one JSON line {"event":"listening",…} when it serves; SIGTERM and SIGINT drain it. */
import { inspect } from "node:util";
import { KaratError } from "@karat/common";
import { OPTIONS, readConfig } from "./config.ts";
import { startNode } from "./process.ts";

if (process.argv.includes("--help")) {
  for (const [name, meaning] of Object.entries(OPTIONS)) process.stdout.write(`--${name.padEnd(20)} ${meaning}\n`);
  process.exit(0);
}
process.on("uncaughtException", (error) => void fail(error));
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
  await fail(error);
}

/** Ends at once: what was told to anybody is in the data directory, and the next start goes on from there. */
async function fail(error: unknown): Promise<never> {
  // LMDB hides the reason behind a promise of its own.
  const hidden = error instanceof Error && "commitError" in error ? error.commitError : error;
  const reason = await Promise.resolve(hidden).catch((cause: unknown) => cause);
  const full = !(reason instanceof KaratError) && /no space left|ENOSPC/i.test(String(reason));
  const sentence = full ? "The disk that holds --data is full: make room on it and start again." : undefined;
  process.stderr.write(`${sentence ?? (reason instanceof KaratError ? reason.message : inspect(reason))}\n`);
  process.exit(1);
}
