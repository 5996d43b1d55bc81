/** Anybody's own check of a recorded inference: the record from the chain, one prefill on an own ML node, what is seen at each position. */
import { ChainClient } from "@karat/client";
import { fromHex, KaratError, toHex } from "@karat/common";
import { verification } from "@karat/proto";
import { z } from "zod";
import { gatherEvidence, openEvidence, type PayloadSource } from "./evidence.ts";
import { payloadsOf } from "./payloads.ts";
import { Scorer } from "./score.ts";

const positionSchema = z.object({
  id: z.number(),
  token: z.string(),
  demanded: z.number(),
  demanded_token: z.string(),
  margin: z.number(),
  spread: z.number().nullable(),
});
const reportSchema = z.object({
  verdict: z.string(),
  p_bucket: z.number(),
  reason: z.string(),
  statistics: z.record(z.string(), z.number()),
  positions: z.array(positionSchema).default([]),
  distances: z.array(z.number()).default([]),
});

export type CheckedPosition = z.infer<typeof positionSchema>;

export interface Verification {
  inferenceId: string;
  model: string;
  executor: string;
  /** Output tokens. */
  tokens: number;
  verdict: string;
  reason: string;
  pBucket: number;
  /** As the ML node names them: p, distance, gatedMargins, gate, sigma … Empty where a hash already tells. */
  statistics: Readonly<Record<string, number>>;
  positions: readonly CheckedPosition[];
  /** Of an embedding: how far each vector is from the own one. */
  distances: readonly number[];
  /** Verdicts that are on the chain. */
  onChain: readonly { validator: string; verdict: string }[];
}

export interface VerifyOptions {
  rpc: string;
  ml: string;
  mlToken?: string;
  /** Admin port of an API node: needed where payloads are not in the transactions. */
  api?: string;
  apiToken?: string;
}

/**
 * Re-checks one inference. `id` is its 32 bytes in hex, alone or at the end of a completion's id. Throws KaratError `invalid_id`,
 * `unknown_inference`, `not_finished`, `payload_unavailable`, `scoring_failed`.
 */
export async function verifyInference(id: string, options: VerifyOptions): Promise<Verification> {
  const hex = /[0-9a-f]{64}$/.exec(id.toLowerCase())?.[0];
  if (!hex) throw new KaratError("invalid_id", "An inference id is 64 hex digits.", { id });
  const chain = await ChainClient.connect(options.rpc);
  const payloads = options.api === undefined ? undefined : payloadsOf(options.api, options.apiToken);
  const scorer = new Scorer(options.ml, options.mlToken);
  try {
    return await verify(chain, fromHex(hex), payloads?.fetch ?? (async () => undefined), scorer);
  } finally {
    await Promise.all([scorer.close(), payloads?.close()]);
    chain.close();
  }
}

async function verify(
  chain: ChainClient,
  id: Uint8Array,
  payloads: PayloadSource,
  scorer: Scorer,
): Promise<Verification> {
  const record = await chain.query.inference(id);
  if (!record) throw new KaratError("unknown_inference", "The chain has no inference of this id.", { id: toHex(id) });
  if (record.root.length === 0) {
    throw new KaratError("not_finished", "The inference has no finish record yet.", { id: toHex(id) });
  }
  const [output, check] = await Promise.all([gatherEvidence(chain, id, payloads), chain.query.check(id)]);
  const evidence = output && (await openEvidence(output, payloads));
  if (!evidence) {
    throw new KaratError(
      "payload_unavailable",
      "Nobody gave the payload: name an API node, and wait while the chain's own check is open.",
      {
        id: toHex(id),
      },
    );
  }
  const { report, reason } = await scorer.score(evidence, chain.chainId, true);
  const parsed = reportSchema.safeParse(JSON.parse(report));
  if (!parsed.success) throw new KaratError("scoring_failed", `The ML node cannot check it: ${reason}`, { reason });
  const { verdict, p_bucket, statistics, positions, distances } = parsed.data;
  return {
    inferenceId: toHex(id),
    model: record.model,
    executor: record.executor,
    tokens: evidence.finish.tokenIds.length,
    verdict,
    reason: parsed.data.reason,
    pBucket: p_bucket,
    statistics,
    positions,
    distances,
    onChain: (check?.duties ?? []).map(({ validator, verdict: given }) => ({ validator, verdict: nameOf(given) })),
  };
}

const nameOf = (verdict: verification.Verdict): string =>
  verdict === verification.Verdict.UNSPECIFIED
    ? "none yet"
    : verification.verdictToJSON(verdict).replace("VERDICT_", "").toLowerCase();
