/** Settings of the process: flags first, then `KARAT_API_…` environment variables, then defaults. */
import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { addressBytes, fromHex, KaratError, messageOf, publicKeyOf } from "@karat/common";

export interface Config {
  readonly rpc: string;
  readonly operator: string;
  readonly privateKey: Uint8Array;
  readonly publicKey: Uint8Array;
  readonly mlUrls: readonly string[];
  readonly mlToken: string | undefined;
  /** Undefined: the embedded queue. */
  readonly redisUrl: string | undefined;
  readonly dataDir: string;
  readonly host: string;
  readonly port: number;
  readonly adminHost: string;
  readonly adminPort: number;
  readonly adminToken: string | undefined;
  readonly publicUrl: string | undefined;
  readonly maxPromptTokens: number | undefined;
  /** Names by which clients may ask for models, and the models' ids. */
  readonly aliases: ReadonlyMap<string, string>;
  readonly requestsPerMinute: number;
  readonly tokensPerMinute: number;
  readonly concurrency: number;
  readonly idleMs: number;
  readonly drainMs: number;
  readonly payloadQuotaBytes: number;
  readonly payloadRetentionMs: number;
  readonly logLevel: string;
}

/** One row per setting: flag (environment name in upper case after KARAT_API_), what it means. */
export const OPTIONS = {
  rpc: "CometBFT RPC of the chain (default http://127.0.0.1:26657)",
  operator: "operator address of this participant",
  "node-key": "file with the node key: 32 bytes in hex",
  ml: "URL of an ML node; may be given several times (environment: separated by commas)",
  "ml-token": "bearer token of the ML nodes",
  redis: "URL of Redis, or `none` for the embedded queue (default redis://127.0.0.1:6379)",
  data: "directory of this node's state (default .karat/api-node)",
  host: "address to listen on (default 127.0.0.1)",
  port: "public port (default 8080; 0 takes a free one)",
  "admin-host": "address of the admin port (default 127.0.0.1; others need a token)",
  "admin-port": "admin port (default 8081; 0 takes a free one)",
  "admin-token": "bearer token of the admin port",
  "public-url": "URL under which peers reach this node; compared with the registered one",
  "max-prompt": "longest prompt in tokens (default: the model's context)",
  alias: "another name for a model, as name=model; may be given several times (environment: separated by commas)",
  rate: "requests of one client per minute (default 6000)",
  "token-rate": "tokens of one client per minute, prompt and answer together (default 60000000)",
  concurrency: "requests of one client at once (default 64)",
  "idle-ms": "longest silence of an executor after its receipt (default 60000)",
  "drain-ms": "how long a stopping node waits for running requests (default 30000)",
  "payload-quota-mb": "size of the payload store (default 1024)",
  "payload-retention-h": "how long payloads are kept (default 168)",
  "log-level": "debug, info, warn, error (default info)",
} as const;

type OptionName = keyof typeof OPTIONS;

const LOOPBACK: ReadonlySet<string> = new Set(["127.0.0.1", "::1", "localhost"]);

/** Throws KaratError `invalid_config` {option} on a setting that is missing or cannot be used. */
export function readConfig(args: readonly string[], env: Readonly<Record<string, string | undefined>>): Config {
  const flags = parse(args);
  const all = (name: OptionName): string[] => {
    const given = flags[name] ?? env[`KARAT_API_${name.toUpperCase().replaceAll("-", "_")}`]?.split(",") ?? [];
    return given.filter((value) => value !== "");
  };
  const get = (name: OptionName): string | undefined => all(name).at(-1);
  const integer = (name: OptionName, otherwise: number, least: number, most: number): number => {
    const value = Number(get(name) ?? otherwise);
    if (Number.isInteger(value) && value >= least && value <= most) return value;
    throw invalid(name, `must be an integer from ${least} to ${most}`);
  };
  const url = (name: OptionName, value: string, ...schemes: string[]): string => {
    if (URL.canParse(value) && schemes.includes(new URL(value).protocol)) return value;
    throw invalid(name, `must be a URL of ${schemes.join(" or ")}`);
  };

  const operator = get("operator");
  if (operator === undefined || !addressBytes(operator)) throw invalid("operator", "must be a karat address");
  const privateKey = readKey(get("node-key"));
  const adminHost = get("admin-host") ?? "127.0.0.1";
  const adminToken = get("admin-token");
  if (!LOOPBACK.has(adminHost) && adminToken === undefined) {
    throw invalid("admin-token", "is needed for an admin port beyond this machine");
  }
  const redis = get("redis") ?? "redis://127.0.0.1:6379";
  const publicUrl = get("public-url");
  const maxPrompt = integer("max-prompt", 0, 0, 10_000_000);
  return {
    rpc: url("rpc", get("rpc") ?? "http://127.0.0.1:26657", "http:", "https:"),
    operator,
    privateKey,
    publicKey: publicKeyOf(privateKey),
    mlUrls: all("ml").map((value) => url("ml", value, "http:", "https:")),
    mlToken: get("ml-token"),
    redisUrl: redis === "none" ? undefined : url("redis", redis, "redis:", "rediss:"),
    dataDir: get("data") ?? ".karat/api-node",
    host: get("host") ?? "127.0.0.1",
    port: integer("port", 8080, 0, 65_535),
    adminHost,
    adminPort: integer("admin-port", 8081, 0, 65_535),
    adminToken,
    publicUrl: publicUrl === undefined ? undefined : url("public-url", publicUrl, "http:", "https:"),
    maxPromptTokens: maxPrompt === 0 ? undefined : maxPrompt,
    aliases: new Map(all("alias").map(alias)),
    requestsPerMinute: integer("rate", 6_000, 1, 1_000_000),
    tokensPerMinute: integer("token-rate", 60_000_000, 1, 1_000_000_000_000),
    concurrency: integer("concurrency", 64, 1, 100_000),
    idleMs: integer("idle-ms", 60_000, 100, 3_600_000),
    drainMs: integer("drain-ms", 30_000, 0, 3_600_000),
    payloadQuotaBytes: integer("payload-quota-mb", 1_024, 1, 1_048_576) * 1024 ** 2,
    payloadRetentionMs: integer("payload-retention-h", 168, 1, 87_600) * 3_600_000,
    logLevel: get("log-level") ?? "info",
  };
}

function parse(args: readonly string[]): Partial<Record<OptionName, string[]>> {
  const options = Object.fromEntries(
    Object.keys(OPTIONS).map((name) => [name, { type: "string" as const, multiple: true as const }]),
  );
  try {
    return parseArgs({ args: [...args], options, strict: true }).values as Partial<Record<OptionName, string[]>>;
  } catch (error) {
    throw new KaratError("invalid_config", messageOf(error), {});
  }
}

function alias(text: string): [name: string, model: string] {
  const at = text.indexOf("=");
  const [name, model] = [text.slice(0, at), text.slice(at + 1)];
  if (at < 1 || model === "") throw invalid("alias", "must be a name, = and the id of a model");
  return [name, model];
}

function readKey(file: string | undefined): Uint8Array {
  if (file === undefined) throw invalid("node-key", "is needed");
  try {
    const key = fromHex(readFileSync(file, "utf8").trim());
    publicKeyOf(key); // throws when it is none
    return key;
  } catch {
    throw invalid("node-key", "must name a file with 32 bytes in hex");
  }
}

const invalid = (option: OptionName, problem: string): KaratError =>
  new KaratError("invalid_config", `--${option} ${problem}: ${OPTIONS[option]}`, { option });
