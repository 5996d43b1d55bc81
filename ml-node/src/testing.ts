/** What the tests over HTTP share. */
import { DEFAULT_SAMPLING, type SamplingParams } from "@karat/rules";

export type Line = Record<string, unknown>;

export interface GenerateBody {
  model: string;
  messages: { role: string; content: string }[];
  max_tokens: number;
  stop?: string[];
  sampling: SamplingParams;
  seed: string;
  inference_id: string;
  stream?: boolean;
  top_logprobs?: number;
}

export const GENERATE: GenerateBody = {
  model: "karat-tiny-f16",
  messages: [{ role: "user", content: "What does os.path.join() do?" }],
  max_tokens: 40,
  sampling: { ...DEFAULT_SAMPLING, temperatureMicros: 800_000 },
  seed: "11".repeat(32),
  inference_id: "22".repeat(32),
};

interface TokenLine {
  type: "token";
  id: number;
  text: string;
  logprob: number;
  top: { id: number; logprob: number }[];
}

interface EndLine {
  type: "end";
  finish_reason: string;
  usage: { prompt_tokens: number; completion_tokens: number };
  token_ids: number[];
  text: string;
  output_hash: string;
  artifact: string;
  artifact_root: string;
}

export interface Generated {
  start: { type: "start"; prompt_tokens: number; prompt_hash: string };
  tokens: TokenLine[];
  end: EndLine;
}

/** Posts JSON (or gets, without a body) and reads JSON. */
export async function api(base: string, path: string, body?: unknown): Promise<{ status: number; json: Line }> {
  const reply = await fetch(base + path, {
    ...(body === undefined ? {} : { method: "POST", body: JSON.stringify(body) }),
    headers: { "content-type": "application/json" },
  });
  return { status: reply.status, json: (await reply.json()) as Line };
}

/** Runs one generation to its end; throws the reply's text where there is none. */
export async function generate(
  base: string,
  body: GenerateBody,
  headers: Record<string, string> = {},
): Promise<Generated> {
  const reply = await fetch(`${base}/karat/v1/generate`, {
    method: "POST",
    body: JSON.stringify(body),
    headers: { "content-type": "application/json", ...headers },
  });
  const text = await reply.text();
  if (reply.status !== 200) throw new Error(text);
  const lines = text
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as Line);
  const end = lines.pop();
  if (end?.type !== "end") throw new Error(text);
  const [start, ...tokens] = lines;
  return { start, tokens, end } as unknown as Generated;
}

/** The score request of an answer, as a validator that holds the payload would send it. */
export function scoreBody(body: GenerateBody, { start, end }: Generated): Line {
  const { token_ids, finish_reason, artifact, artifact_root, output_hash } = end;
  const { prompt_hash, prompt_tokens } = start;
  return { ...body, token_ids, finish_reason, artifact, artifact_root, output_hash, prompt_hash, prompt_tokens };
}
