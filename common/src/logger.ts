import { pino } from "pino";

/** What a component may log through: a sentence, and the values as data. Never interpolate values into the sentence. */
export interface Logger {
  debug(data: Record<string, unknown>, message: string): void;
  info(data: Record<string, unknown>, message: string): void;
  warn(data: Record<string, unknown>, message: string): void;
  error(data: Record<string, unknown>, message: string): void;
  child(bindings: Record<string, unknown>): Logger;
}

/** JSON lines on stdout; keys, tokens and prompts are redacted wherever they appear in the data. */
export function createLogger(name: string, level = "info"): Logger {
  return pino({
    name,
    level,
    redact: [
      "apiKey",
      "privateKey",
      "mnemonic",
      "authorization",
      "*.apiKey",
      "*.privateKey",
      "*.authorization",
      "messages",
      "prompt",
    ],
  });
}

/** For tests and tools that want no log. */
export const silentLogger: Logger = {
  debug() {},
  info() {},
  warn() {},
  error() {},
  child: () => silentLogger,
};
