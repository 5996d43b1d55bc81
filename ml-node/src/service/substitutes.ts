/** The models that an unseeded profile names: what a cheat would run instead, asked how likely they find the tokens. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { KaratError } from "@karat/common";
import type { Profile } from "@karat/rules";
import type { InferenceEngine } from "../engine/engine.ts";

/**
 * One engine for each, in the profile's order; none where tokens are bound to the seed. Files are `<name>.gguf` in `folder`.
 * Throws `substitute_missing` {name, path, weights} for one that is not there, is another model, or has another vocabulary.
 */
export async function openSubstitutes(
  profile: Profile | undefined,
  vocabularySize: number,
  folder: string,
  open: (modelPath: string, name: string) => Promise<InferenceEngine>,
): Promise<InferenceEngine[]> {
  const engines: InferenceEngine[] = [];
  try {
    for (const { name, weightsSha256 } of profile?.unseeded?.substitutes ?? []) {
      const path = join(folder, `${name}.gguf`);
      const missing = (why: string) =>
        new KaratError("substitute_missing", `the profile compares with ${name}, which ${why}: put it there`, {
          name,
          path,
          weights: weightsSha256,
        });
      if (!existsSync(path)) throw missing("is not there");
      const engine = await open(path, name);
      engines.push(engine);
      if (engine.info().weightsSha256 !== weightsSha256) throw missing("has other weights");
      if (engine.info().vocabularySize !== vocabularySize) throw missing("has another vocabulary");
    }
    return engines;
  } catch (error) {
    await Promise.all(engines.map((engine) => engine.close()));
    throw error;
  }
}
