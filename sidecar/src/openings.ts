import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fromBase64, fromHex, toBase64, toHex } from "@karat/common";
import { z } from "zod";

/** What a commitment of this validator hides. Who loses it cannot answer, and has missed the duty. */
export interface Opening {
  readonly valuesHash: Uint8Array;
  readonly gatedMargins: number;
  readonly positions: number;
  readonly salt: Uint8Array;
  /** The values that the hash is the root of: a committee has one of them opened. */
  readonly windows: readonly Uint8Array[];
  /** The ML node's report, where it found the answer impossible without any artifact. */
  readonly impossible?: string;
}

const hex = z.string().regex(/^([0-9a-f]{2})+$/);
const schema = z.object({
  valuesHash: hex,
  gatedMargins: z.number().int().min(0),
  positions: z.number().int().min(0),
  salt: hex,
  windows: z.array(z.base64()),
  impossible: z.string().optional(),
});
const NAME = /^[0-9a-f]{64}\.json$/;
/** No duty is open for that long. */
const LIFE_MS = 3 * 24 * 3_600_000;

/** Openings on disk, one small file each, from before a commitment is sent until its check is decided. */
export class Openings {
  readonly #dir: string;

  constructor(dir: string) {
    this.#dir = dir;
    mkdirSync(dir, { recursive: true });
    const old = Date.now() - LIFE_MS;
    for (const name of readdirSync(dir)) {
      if (NAME.test(name) && statSync(join(dir, name)).mtimeMs < old) rmSync(join(dir, name), { force: true });
    }
  }

  /** Inference ids, as hex. */
  ids(): string[] {
    return readdirSync(this.#dir)
      .filter((name) => NAME.test(name))
      .map((name) => name.slice(0, -".json".length));
  }

  get(inferenceId: string): Opening | undefined {
    let text: string;
    try {
      text = readFileSync(this.#path(inferenceId), "utf8");
    } catch {
      return undefined;
    }
    const { valuesHash, salt, windows, gatedMargins, positions, impossible } = schema.parse(JSON.parse(text));
    return {
      valuesHash: fromHex(valuesHash),
      salt: fromHex(salt),
      windows: windows.map(fromBase64),
      gatedMargins,
      positions,
      ...(impossible !== undefined && { impossible }),
    };
  }

  put(inferenceId: string, opening: Opening): void {
    const path = this.#path(inferenceId);
    const coded = {
      ...opening,
      valuesHash: toHex(opening.valuesHash),
      salt: toHex(opening.salt),
      windows: opening.windows.map(toBase64),
    };
    writeFileSync(`${path}.new`, JSON.stringify(coded));
    renameSync(`${path}.new`, path);
  }

  delete(inferenceId: string): void {
    rmSync(this.#path(inferenceId), { force: true });
  }

  #path = (inferenceId: string): string => join(this.#dir, `${inferenceId}.json`);
}
