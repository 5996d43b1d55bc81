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

/** A vLLM, SGLang or llama-server that serves the model. */
export interface ServerSettings {
  baseUrl: string;
  apiKey?: string;
  serverModel?: string;
  weightsSha256?: string;
  /** It chooses the tokens by itself. */
  serverSamples?: boolean;
}

export interface Config {
  modelPath: string;
  server?: ServerSettings;
  name: string;
  host: string;
  port: number;
  profilePath?: string;
  /** Folder of the models that an unseeded profile names. */
  substitutesPath: string;
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
  model: "path of the GGUF file (default: the small model of the repository); with --server also a Hugging Face folder",
  server: "URL of a vLLM, SGLang or llama-server that serves the model (default: it runs in this node)",
  "server-key": "API key for that server",
  "server-model": "that server's name of the model (default: the first it lists)",
  "weights-sha256": "with --server: instead of hashing the weights in --model",
  "server-samples": "yes: the server (vLLM) chooses the tokens by itself; needs an unseeded profile (default no)",
  name: "model id to declare (default: file name)",
  host: "address to listen on (default 127.0.0.1; others need a token)",
  port: "port (default 8090; 0 takes a free one)",
  profile: "calibration profile (default: profiles/<file name>.json beside the model)",
  substitutes: "folder of the models that an unseeded profile names (default: the model's folder)",
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
  const server = readServer(get);
  return {
    modelPath,
    ...(server && { server }),
    name: get("name") ?? fileName,
    host,
    port: integer("port", 8090, 0, 65_535),
    ...(profilePath === undefined ? {} : { profilePath }),
    substitutesPath: get("substitutes") ?? dirname(modelPath),
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

function readServer(get: (name: OptionName) => string | undefined): ServerSettings | undefined {
  const baseUrl = get("server");
  const [apiKey, serverModel, weightsSha256] = [get("server-key"), get("server-model"), get("weights-sha256")];
  const samples = get("server-samples");
  if (samples !== undefined && samples !== "yes" && samples !== "no") throw invalid("server-samples", "is yes or no");
  if (baseUrl === undefined) {
    if (apiKey ?? serverModel ?? weightsSha256 ?? samples) throw invalid("server", "is needed by its other settings");
    return undefined;
  }
  if (!/^https?:\/\//.test(baseUrl) || !URL.canParse(baseUrl)) throw invalid("server", "must be an http(s) URL");
  if (weightsSha256 !== undefined && !/^[0-9a-f]{64}$/.test(weightsSha256)) {
    throw invalid("weights-sha256", "must be 64 lower-case hex digits");
  }
  return {
    baseUrl,
    ...(apiKey === undefined ? {} : { apiKey }),
    ...(serverModel === undefined ? {} : { serverModel }),
    ...(weightsSha256 === undefined ? {} : { weightsSha256 }),
    ...(samples === "yes" && { serverSamples: true }),
  };
}

function readAttack(value: string): Attack {
  const [, kind, modelPath] = /^(swap|launder)=(.+)$/.exec(value) ?? [];
  if ((kind === "swap" || kind === "launder") && modelPath !== undefined) return { kind, modelPath };
  throw invalid("attack", "must be swap=<gguf> or launder=<gguf>");
}

const existing = (path: string): string | undefined => (existsSync(path) ? path : undefined);

const invalid = (option: OptionName, problem: string): KaratError =>
  new KaratError("invalid_config", `--${option} ${problem}`, { option });
