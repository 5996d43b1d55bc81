#!/usr/bin/env node
/** `node ml-node/src/main.ts [--flag value …]`: starts an ML node and prints one JSON line when it listens. */
import { createLogger, isKaratError, messageOf } from "@karat/common";
import { OPTIONS, readConfig } from "./config.ts";
import { startMlNode } from "./node.ts";

if (process.argv.includes("--help")) {
  for (const [name, meaning] of Object.entries(OPTIONS)) console.log(`--${name.padEnd(12)} ${meaning}`);
} else {
  await main();
}

async function main(): Promise<void> {
  try {
    const config = readConfig(process.argv.slice(2), process.env);
    const logger = createLogger("ml-node", config.logLevel);
    const node = await startMlNode(config, logger);
    const { id, weightsSha256 } = node.engine.info();
    console.log(
      JSON.stringify({
        event: "listening",
        host: config.host,
        port: node.port,
        model: id,
        weights_sha256: weightsSha256,
      }),
    );
    const stop = (): void => {
      logger.info({}, "draining");
      node.close().then(
        () => process.exit(0),
        (error: unknown) => {
          logger.error({ error: messageOf(error) }, "the node did not stop cleanly");
          process.exit(1);
        },
      );
    };
    process.once("SIGTERM", stop).once("SIGINT", stop);
  } catch (error) {
    const details = isKaratError(error) ? { code: error.code, data: error.data } : {};
    console.error(JSON.stringify({ event: "failed", message: messageOf(error), ...details }));
    process.exitCode = 1;
  }
}
