/** Settings of the process: flags first, then `KARAT_ML_…` environment variables, then defaults. */
import { existsSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { KaratError } from "@karat/common";

export interface Attack {
  kind: "swap" | "launder";
  modelPath: string;
}

export interface Config {
  modelPath: string;
  name: string;
  host: string;
  port: number;
  profilePath?: string;
  token?: string;
  contextSize: number;
  sequences: number;
  maxWaiting: number;
  threads: number;
  batchSize: number;
  drainMs: number;
  logLevel: string;
  attack?: Attack;
}

const DEFAULT_MODEL = fileURLToPath(new URL("../../models/karat-tiny-f16.gguf", import.meta.url));
const LOOPBACK = new Set(["127.0.0.1", "::1", "localhost"]);

/** One row per setting: flag (environment name in upper case after KARAT_ML_), what it means. */
export const OPTIONS = {
  model: "path of the GGUF file (default: the small model of the repository)",
  name: "model id to declare (default: file name)",
  host: "address to listen on (default 127.0.0.1; others need a token)",
  port: "port (default 8090; 0 takes a free one)",
  profile: "calibration profile (default: profiles/<file name>.json beside the model)",
  token: "bearer token that callers must send",
  context: "tokens of prompt and answer together (default 4096, at most what the model was trained for)",
  sequences: "answers that are generated together (default 4)",
  queue: "requests that may wait (default 32)",
  threads: "threads of the engine (default 1)",
  batch: "tokens evaluated in one go (default 512)",
  "drain-ms": "how long a stopping node waits for running answers (default 30000)",
  "log-level": "debug, info, warn, error (default info)",
  attack: "swap=<gguf> or launder=<gguf>: cheat on purpose, for demonstrations",
} as const;

type OptionName = keyof typeof OPTIONS;

/** Throws KaratError `invalid_config` {option} on a setting that cannot be used. */
export function readConfig(args: readonly string[], env: Readonly<Record<string, string | undefined>>): Config {
  const flags = parse(args);
  const get = (name: OptionName): string | undefined => {
    const value = flags[name] ?? env[`KARAT_ML_${name.toUpperCase().replaceAll("-", "_")}`];
    return value === "" ? undefined : value;
  };
  const integer = (name: OptionName, otherwise: number, least: number, most: number): number => {
    const value = Number(get(name) ?? otherwise);
    if (Number.isInteger(value) && value >= least && value <= most) return value;
    throw invalid(name, `must be an integer from ${least} to ${most}`);
  };

  const modelPath = get("model") ?? DEFAULT_MODEL;
  const fileName = basename(modelPath, ".gguf");
  const host = get("host") ?? "127.0.0.1";
  const token = get("token");
  if (!LOOPBACK.has(host) && token === undefined) throw invalid("token", "is needed to listen beyond this machine");
  const profilePath = get("profile") ?? existing(join(dirname(modelPath), "profiles", `${fileName}.json`));
  const attack = get("attack");
  return {
    modelPath,
    name: get("name") ?? fileName,
    host,
    port: integer("port", 8090, 0, 65_535),
    ...(profilePath === undefined ? {} : { profilePath }),
    ...(token === undefined ? {} : { token }),
    contextSize: integer("context", 4096, 16, 1_048_576),
    sequences: integer("sequences", 4, 1, 64),
    maxWaiting: integer("queue", 32, 0, 10_000),
    threads: integer("threads", 1, 1, 256),
    batchSize: integer("batch", 512, 1, 16_384),
    drainMs: integer("drain-ms", 30_000, 0, 600_000),
    logLevel: get("log-level") ?? "info",
    ...(attack === undefined ? {} : { attack: readAttack(attack) }),
  };
}

function parse(args: readonly string[]): Partial<Record<OptionName, string>> {
  const options = Object.fromEntries(Object.keys(OPTIONS).map((name) => [name, { type: "string" as const }]));
  try {
    return parseArgs({ args: [...args], options, strict: true }).values as Partial<Record<OptionName, string>>;
  } catch (cause) {
    throw new KaratError("invalid_config", "unknown or incomplete flag", { option: null }, cause);
  }
}

function readAttack(value: string): Attack {
  const [, kind, modelPath] = /^(swap|launder)=(.+)$/.exec(value) ?? [];
  if ((kind === "swap" || kind === "launder") && modelPath !== undefined) return { kind, modelPath };
  throw invalid("attack", "must be swap=<gguf> or launder=<gguf>");
}

const existing = (path: string): string | undefined => (existsSync(path) ? path : undefined);

const invalid = (option: OptionName, problem: string): KaratError =>
  new KaratError("invalid_config", `--${option} ${problem}`, { option });
