import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fromHex, toHex } from "@karat/common";
import { z } from "zod";

/** What a commitment of this validator hides. Who loses it cannot answer, and has missed the duty. */
export interface Opening {
  readonly valuesHash: Uint8Array;
  readonly gatedMargins: number;
  readonly positions: number;
  readonly salt: Uint8Array;
  /** The ML node's report, where it found the answer impossible without any artifact. */
  readonly impossible?: string;
}

const hex = z.string().regex(/^([0-9a-f]{2})+$/);
const schema = z.object({
  valuesHash: hex,
  gatedMargins: z.number().int().min(0),
  positions: z.number().int().min(0),
  salt: hex,
  impossible: z.string().optional(),
});
const NAME = /^[0-9a-f]{64}\.json$/;
/** No duty is open for that long. */
const LIFE_MS = 3 * 24 * 3_600_000;

/** Openings on disk, one small file each, from before a commitment is sent until its verdict is recorded. */
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

  get(inferenceId: string): Opening | undefined {
    let text: string;
    try {
      text = readFileSync(this.#path(inferenceId), "utf8");
    } catch {
      return undefined;
    }
    const { valuesHash, salt, gatedMargins, positions, impossible } = schema.parse(JSON.parse(text));
    return {
      valuesHash: fromHex(valuesHash),
      salt: fromHex(salt),
      gatedMargins,
      positions,
      ...(impossible !== undefined && { impossible }),
    };
  }

  put(inferenceId: string, opening: Opening): void {
    const path = this.#path(inferenceId);
    const { valuesHash, salt } = opening;
    writeFileSync(`${path}.new`, JSON.stringify({ ...opening, valuesHash: toHex(valuesHash), salt: toHex(salt) }));
    renameSync(`${path}.new`, path);
  }

  delete(inferenceId: string): void {
    rmSync(this.#path(inferenceId), { force: true });
  }

  #path = (inferenceId: string): string => join(this.#dir, `${inferenceId}.json`);
}
