import { resolve } from "node:path";
import { parseArgs } from "node:util";

export interface NetworkOptions {
  /** State, keys and logs of this network. */
  readonly dir: string;
  readonly portBase: number;
  readonly participants: number;
  readonly blockTimeMs: number;
  readonly engine: "solo" | "cometbft";
  /** The declared model: one of models/. */
  readonly weights: string;
  readonly json: boolean;
  readonly rest: readonly string[];
  readonly flags: Readonly<Record<string, string | boolean | undefined>>;
}

export const DEFAULT_PORT_BASE = 26_600;
/** What a network can declare: each has a profile in models/profiles. */
export const WEIGHTS = ["karat-tiny-f16", "karat-tiny-q8_0", "karat-tiny-q4_0", "karat-mini-f16"] as const;

/** A mistake of the person at the keyboard: printed without a stack, exit code 2. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

/** The flags that all scripts share, with those of one script in `extra`. Throws UsageError. */
export function readOptions(
  argv: readonly string[],
  extra: Record<string, { type: "string" | "boolean" }> = {},
): NetworkOptions {
  const options = {
    dir: { type: "string" },
    "port-base": { type: "string" },
    participants: { type: "string" },
    "block-time-ms": { type: "string" },
    engine: { type: "string" },
    model: { type: "string" },
    json: { type: "boolean" },
    ...extra,
  } as const;
  let parsed: ReturnType<typeof parseArgs>;
  try {
    parsed = parseArgs({ args: [...argv], options, allowPositionals: true });
  } catch (error) {
    throw new UsageError(
      `${(error as Error).message}\nflags: ${Object.keys(options)
        .map((name) => `--${name}`)
        .join(" ")}`,
    );
  }
  const flags = parsed.values as Record<string, string | boolean | undefined>;
  const engine = flags.engine ?? "solo";
  if (engine !== "solo" && engine !== "cometbft") throw new UsageError(`--engine is solo or cometbft, not ${engine}`);
  const weights = WEIGHTS.find((name) => name === (flags.model ?? WEIGHTS[0]));
  if (weights === undefined) throw new UsageError(`--model is one of ${WEIGHTS.join(", ")}, not ${flags.model}`);
  return {
    dir: resolve(String(flags.dir ?? ".localnet")),
    portBase: integer(flags["port-base"], "port-base", DEFAULT_PORT_BASE, 1_024, 60_000),
    participants: integer(flags.participants, "participants", 4, 1, 16),
    blockTimeMs: integer(flags["block-time-ms"], "block-time-ms", 1_000, 50, 60_000),
    engine,
    weights,
    json: flags.json === true,
    rest: parsed.positionals,
    flags,
  };
}

function integer(value: unknown, name: string, otherwise: number, least: number, most: number): number {
  if (value === undefined) return otherwise;
  const number = Number(value);
  if (!Number.isInteger(number) || number < least || number > most) {
    throw new UsageError(`--${name} is a whole number from ${least} to ${most}, not ${String(value)}`);
  }
  return number;
}
