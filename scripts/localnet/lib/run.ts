import { messageOf } from "@karat/common";
import { UsageError } from "./options.ts";

/** Runs a script's main function: mistakes of usage exit with 2 and a sentence, failures with 1. */
export async function runScript(main: () => Promise<void>): Promise<void> {
  // Its reader has seen enough (`| head`).
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code !== "EPIPE") throw error;
    process.exit();
  });
  try {
    await main();
  } catch (error) {
    process.stderr.write(`✗ ${messageOf(error)}\n`);
    process.exitCode = error instanceof UsageError ? 2 : 1;
  }
}

export const print = (line = ""): void => void process.stdout.write(`${line}\n`);
