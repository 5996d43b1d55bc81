/** Reading of calibration profiles. */
import { readFile } from "node:fs/promises";
import { KaratError } from "@karat/common";
import { ARTIFACT_STEPS, EMBEDDING_LIMITS, MAX_ALTERNATIVES, type Profile } from "@karat/rules";
import { z } from "zod";

const sortedOf = (score: z.ZodNumber) =>
  z
    .array(score)
    .max(1_000_000)
    .refine((scores) => scores.every((each, i) => i === 0 || each >= scores[i - 1]!), "must be sorted");
const sorted = sortedOf(z.number().min(0));

const PROFILE = z.strictObject({
  version: z.literal(3),
  model: z.string(),
  weightsSha256: z.string().regex(/^[0-9a-f]{64}$/),
  quantization: z.string(),
  engine: z.string(),
  kvCache: z.string(),
  step: z.enum(ARTIFACT_STEPS),
  k: z.int().min(1).max(MAX_ALTERNATIVES),
  sigmaH: z.number().positive(),
  sigmaLogit: z.number().positive(),
  alphaFail: z.number().positive().max(0.5),
  minPositions: z.int().min(1),
  settings: z.array(z.strictObject({ name: z.string(), runs: z.int().min(0) })).max(100),
  excluded: z.array(z.strictObject({ what: z.string(), reason: z.string() })).max(100),
  heldOut: z.strictObject({ runs: z.int().min(0), fails: z.int().min(0) }),
  buckets: z.array(
    z.strictObject({
      from: z.int().min(1),
      to: z.int().nullable(),
      distance: sorted,
      scan: sorted,
      gumbel: sorted,
    }),
  ),
  embedding: z
    .strictObject({ dimensions: z.int().min(1).max(EMBEDDING_LIMITS.dimensions), distances: sorted })
    .optional(),
  unseeded: z
    .strictObject({
      substitutes: z
        .array(
          z.strictObject({ name: z.string().regex(/^[\w.-]+$/), weightsSha256: z.string().regex(/^[0-9a-f]{64}$/) }),
        )
        .max(4),
      buckets: z.array(z.strictObject({ from: z.int().min(1), scores: sortedOf(z.number()) })),
    })
    .optional(),
});

/** The profile in a file; throws `invalid_profile` {path, problems}. */
export async function loadProfile(path: string): Promise<Profile> {
  let parsed: unknown;
  try {
    parsed = JSON.parse(await readFile(path, "utf8"));
  } catch (cause) {
    throw new KaratError("invalid_profile", "the calibration profile cannot be read", { path }, cause);
  }
  const result = PROFILE.safeParse(parsed);
  if (result.success) {
    const { unseeded, embedding, ...rest } = result.data;
    return { ...rest, ...(unseeded && { unseeded }), ...(embedding && { embedding }) };
  }
  throw new KaratError("invalid_profile", "the calibration profile is not valid", {
    path,
    problems: result.error.issues.slice(0, 5).map((issue) => `${issue.path.join(".")}: ${issue.message}`),
  });
}
