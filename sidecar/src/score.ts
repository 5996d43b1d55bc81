import { fromBase64, fromHex, KaratError, messageOf, toBase64, toHex } from "@karat/common";
import { verification } from "@karat/proto";
import { DEFAULT_SAMPLING, samplingSeed } from "@karat/rules";
import { Pool } from "undici";
import { z } from "zod";
import { type Evidence, finishName, orderIdOf } from "./evidence.ts";

const prefillSchema = z.object({
  values_hash: z.string().regex(/^[0-9a-f]{64}$/),
  windows: z.array(z.base64()),
  gated_margins: z.number().int().min(0),
  positions: z.number().int().min(0),
});

const answerSchema = z.object({
  verdict: z.enum(["pass", "fail", "abstain"]),
  p_bucket: z.number().int().min(0).max(10),
  reason: z.string().optional(),
  statistics: z.record(z.string(), z.unknown()).default({}),
});

/** The fields of a request that decide its prompt, where its answer ends and which tokens may be chosen. */
const ASKED = [
  "messages",
  "prompt",
  "input",
  "stop",
  "response_format",
  "tools",
  "tool_choice",
  "parallel_tool_calls",
  "logit_bias",
] as const;

export interface Scored {
  readonly verdict: verification.Verdict;
  readonly pBucket: number;
  readonly reason: string;
  readonly distanceMicros: bigint;
  readonly gatedMargins: number;
  readonly positions: number;
  /** The ML node's answer, canonical bytes of which are hashed into the verdict record. */
  readonly report: string;
}

/** The validator's own view of an answer: what it commits to. */
export interface OwnValues {
  readonly valuesHash: Uint8Array;
  /** What the hash is the root of; a committee has one of them opened. */
  readonly windows: readonly Uint8Array[];
  readonly gatedMargins: number;
  readonly positions: number;
}

/** Has the ML node re-check one inference: an answer by a teacher-forced prefill, an embedding by own vectors. Throws KaratError `scoring_failed` when it cannot now. */
export class Scorer {
  readonly #pool: Pool;
  readonly #headers: Readonly<Record<string, string>>;

  constructor(mlUrl: string, token?: string) {
    this.#headers = { "content-type": "application/json", ...(token && { authorization: `Bearer ${token}` }) };
    this.#pool = new Pool(mlUrl, { connections: 4, headersTimeout: 120_000, bodyTimeout: 120_000 });
  }

  /** First half, without the artifact: own values, or the verdict where no artifact could change it. */
  async prefill(evidence: Evidence, chainId: string): Promise<OwnValues | Scored> {
    if (isMiscounted(evidence)) return contradicted();
    const answer = await this.#ask("/karat/v1/score/prefill", {
      ...outputOf(evidence, chainId),
      pooled: evidence.pooled.map((part) => outputOf(part, chainId)),
    });
    if ("verdict" in answer) return answer;
    const values = prefillSchema.safeParse(JSON.parse(answer.text));
    if (!values.success) return interpret(answer.text);
    const { values_hash, windows, gated_margins, positions } = values.data;
    return {
      valuesHash: fromHex(values_hash),
      windows: windows.map(fromBase64),
      gatedMargins: gated_margins,
      positions,
    };
  }

  /** Second half. The ML node remembers its prefill for a while, and makes it again when it does not. */
  async score(evidence: Evidence, chainId: string, detail = false): Promise<Scored> {
    if (isMiscounted(evidence)) return contradicted();
    const answer = await this.#ask("/karat/v1/score", {
      ...wholeOf(evidence, chainId),
      pooled: evidence.pooled.map((part) => wholeOf(part, chainId)),
      ...(detail && { detail }),
    });
    return "verdict" in answer ? answer : interpret(answer.text);
  }

  close(): Promise<void> {
    return this.#pool.close();
  }

  async #ask(path: string, body: object): Promise<{ text: string } | Scored> {
    const { status, text } = await this.#post(path, JSON.stringify(body));
    // A request that this engine refuses is no evidence either way.
    if (status >= 400 && status < 500 && status !== 429) return abstained(`engine refused: ${status}`, text);
    if (status === 200) return { text };
    throw new KaratError("scoring_failed", "The ML node cannot score now.", { status, text: text.slice(0, 500) });
  }

  async #post(path: string, body: string): Promise<{ status: number; text: string }> {
    try {
      const answer = await this.#pool.request({ method: "POST", path, headers: this.#headers, body });
      return { status: answer.statusCode, text: await answer.body.text() };
    } catch (error) {
      throw new KaratError("scoring_failed", `The ML node does not answer: ${messageOf(error)}`, {}, error);
    }
  }
}

/** What is asked about, as far as a validator may know it before its commitment. */
function outputOf({ record, request, finish, beacon }: Evidence, chainId: string): object {
  const asked: Record<string, unknown> = JSON.parse(request);
  return {
    model: record.model,
    ...Object.fromEntries(ASKED.map((name) => [name, asked[name]])),
    max_tokens: record.maxOutputTokens,
    sampling: record.sampling ?? DEFAULT_SAMPLING,
    seed: toHex(samplingSeed(chainId, orderIdOf(record), beacon, new Uint8Array())),
    inference_id: toHex(record.id),
    ...(record.part && { prefix_token_ids: finish.prefixTokenIds }),
    token_ids: finish.tokenIds,
    finish_reason: finishName(record.finishReason),
    output_hash: toHex(finish.outputHash),
    prompt_hash: toHex(finish.promptHash),
    prompt_tokens: record.promptTokens,
  };
}

const wholeOf = (evidence: Evidence, chainId: string): object => ({
  ...outputOf(evidence, chainId),
  artifact: toBase64(evidence.finish.artifact),
  artifact_root: toHex(evidence.finish.artifactRoot),
});

const VERDICTS = {
  pass: verification.Verdict.VALID,
  fail: verification.Verdict.INVALID,
  abstain: verification.Verdict.ABSTAIN,
} as const;

/** Throws where it is no report of an ML node. */
export function interpret(text: string): Scored {
  const answer = answerSchema.parse(JSON.parse(text));
  const number = (name: string): number => {
    const value = Number(answer.statistics[name] ?? 0);
    return Number.isFinite(value) && value > 0 ? value : 0;
  };
  return {
    verdict: VERDICTS[answer.verdict],
    pBucket: answer.p_bucket,
    reason: answer.reason ?? answer.verdict,
    distanceMicros: BigInt(Math.round(number("distance") * 1_000_000)),
    gatedMargins: Math.round(number("gatedMargins")),
    positions: Math.round(number("positions")),
    report: text,
  };
}

const isMiscounted = ({ miscounted, pooled }: Evidence): boolean => miscounted || pooled.some(isMiscounted);

/** The executor's own statement has other counts than its finish: no prefill is needed. */
function contradicted(): Scored {
  const { INVALID } = verification.Verdict;
  const report = JSON.stringify({ verdict: "fail", p_bucket: 10, reason: "miscounted", statistics: {}, positions: [] });
  return { verdict: INVALID, pBucket: 10, reason: "miscounted", ...NOTHING_MEASURED, report };
}

const NOTHING_MEASURED = { distanceMicros: 0n, gatedMargins: 0, positions: 0 };

function abstained(reason: string, report: string): Scored {
  const { ABSTAIN } = verification.Verdict;
  return { verdict: ABSTAIN, pBucket: 0, reason, distanceMicros: 0n, gatedMargins: 0, positions: 0, report };
}
