import { parseArgs } from "node:util";
import { KaratError } from "@karat/common";
import { z } from "zod";

const schema = z.object({
  /** CometBFT RPC of the participant's own node. */
  rpc: z.url(),
  /** ML node that scores. */
  ml: z.url(),
  /** Admin port of the participant's own API node: fetches payloads from peers. */
  api: z.url(),
  /** Operator address of the participant. */
  operator: z.string().startsWith("karat1"),
  /** File with the validator account's private key, hex. */
  key: z.string().min(1),
  /** The cursor, and what was committed to and not shown yet. */
  data: z.string().min(1),
  host: z.string().default("127.0.0.1"),
  port: z.coerce.number().int().min(0).max(65_535).default(8085),
  /** Bearer tokens, where those nodes ask for one. */
  mlToken: z.string().optional(),
  apiToken: z.string().optional(),
  concurrency: z.coerce.number().int().min(1).max(64).default(2),
  logLevel: z.enum(["debug", "info", "warn", "error"]).default("info"),
});

export type Config = z.infer<typeof schema>;

/** Flags (`--rpc …`), then environment (`KARAT_SIDECAR_RPC` …). Throws KaratError `invalid_config` naming each field. */
export function readConfig(argv: readonly string[], env: NodeJS.ProcessEnv): Config {
  const names = Object.keys(schema.shape);
  const flag = (name: string): string => name.replace(/[A-Z]/g, (c) => `-${c.toLowerCase()}`);
  const options = Object.fromEntries(names.map((name) => [flag(name), { type: "string" as const }]));
  let values: Record<string, unknown>;
  try {
    values = parseArgs({ args: [...argv], options }).values;
  } catch (error) {
    throw new KaratError("invalid_config", (error as Error).message);
  }
  const variable = (name: string): string => `KARAT_SIDECAR_${flag(name).replaceAll("-", "_").toUpperCase()}`;
  const merged = Object.fromEntries(names.map((name) => [name, values[flag(name)] ?? env[variable(name)]]));
  const parsed = schema.safeParse(merged);
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.map(({ path: [name], message }) => {
    return `--${flag(String(name))}: ${merged[String(name)] === undefined ? "is needed" : message}`;
  });
  throw new KaratError("invalid_config", `The sidecar cannot start: ${problems.join("; ")}.`, { problems });
}
