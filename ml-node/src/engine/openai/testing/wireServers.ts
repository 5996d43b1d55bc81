/**
 * What vLLM and SGLang put on the wire, as their documentation and sources say it, over the embedded engine's real numbers. For tests: neither
 * can run on a machine without a GPU.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { isKaratError, sha256, utf8 } from "@karat/common";
import type { SamplingParams } from "@karat/rules";
import { DEFAULT_SAMPLING } from "@karat/rules";
import { collect } from "../../../collect.ts";
import type { GeneratedToken, InferenceEngine, TokenLogprob } from "../../engine.ts";

export interface WireServer {
  readonly url: string;
  close(): Promise<void>;
}

type Body = Readonly<Record<string, unknown>>;
type Answer = (body: Body, response: ServerResponse, signal: AbortSignal) => Promise<unknown>;

export interface VllmSettings {
  /** `--max-logprobs`. */
  readonly maxLogprobs: number;
  /** `--logits-processors karat_logits_processor:KaratLogitsProcessor`. */
  readonly plugin: boolean;
}

export function serveVllm(engine: InferenceEngine, { maxLogprobs, plugin }: VllmSettings): Promise<WireServer> {
  // The embedded engine keeps one place free, as the engine in front does.
  const contextLength = engine.info().contextLength - 1;
  return serve({
    "/version": async () => ({ version: "0.0.0-documented" }),
    "/v1/models": async () => ({ object: "list", data: [{ id: "served", max_model_len: contextLength }] }),
    "/tokenize": async ({ prompt }) => ({ tokens: await tokenized(engine, String(prompt)) }),
    "/v1/completions": async (body, response, signal) => {
      if (Math.max(Number(body.logprobs ?? 0), Number(body.prompt_logprobs ?? 0)) > maxLogprobs) {
        throw new Refused(`Requested more than the maximum of ${maxLogprobs} logprobs`);
      }
      const job = vllmJob(body, plugin);
      if (body.stream) return stream(response, engine.generate(job, signal));
      const tokens = await collect(engine.generate(job, signal));
      return { choices: [{ ...vllmChoice(tokens, Number(body.logprobs)), ...(await promptLogprobs(engine, body)) }] };
    },
  });
}

/** By the server's own sampler, unless the plug-in is there and the request asks for it. */
function vllmJob(body: Body, plugin: boolean) {
  const prompt = body.prompt as number[];
  const xargs = (plugin ? body.vllm_xargs : undefined) as Record<string, string | number> | undefined;
  const given = Number(xargs?.karat_position ?? 0);
  return {
    promptIds: prompt.slice(0, prompt.length - given),
    prefixIds: prompt.slice(prompt.length - given),
    maxTokens: Number(body.max_tokens) + given,
    sampling: xargs ? (JSON.parse(String(xargs.karat_sampling)) as SamplingParams) : ownSampling(body),
    seed: xargs ? Buffer.from(String(xargs.karat_seed), "hex") : sha256(utf8(`server ${Number(body.seed ?? 0)}`)),
    top: Number(body.logprobs ?? 1),
  };
}

const micros = (value: unknown, otherwise: number): number => Math.round(Number(value ?? otherwise) * 1_000_000);

function ownSampling(body: Body): SamplingParams {
  return {
    ...DEFAULT_SAMPLING,
    temperatureMicros: micros(body.temperature, 1),
    topPMicros: micros(body.top_p, 1),
    minPMicros: micros(body.min_p, 0),
    topK: Number(body.top_k ?? DEFAULT_SAMPLING.topK),
    frequencyPenaltyMicros: micros(body.frequency_penalty, 0),
    presencePenaltyMicros: micros(body.presence_penalty, 0),
  };
}

const vllmChoice = (tokens: readonly GeneratedToken[], top: number) => ({
  token_ids: tokens.map(({ id }) => id),
  logprobs: {
    // The chosen token comes first, and then the last of the others is cut.
    top_logprobs: tokens.map((token) => {
      const others = token.top.filter(({ id }) => id !== token.id).slice(0, Math.max(0, top - 1));
      return Object.fromEntries([token, ...others].map(({ id, logprob }) => [`token_id:${id}`, logprob]));
    }),
  },
});

async function promptLogprobs(engine: InferenceEngine, { prompt, prompt_logprobs: top }: Body): Promise<object> {
  if (top === undefined) return {};
  const [first, ...rest] = prompt as number[];
  const positions = await engine.score({ promptIds: [first!], outputIds: rest, top: Number(top) });
  const entry = ({ id, logprob }: TokenLogprob, rank: number) => [id, { logprob, rank: rank + 1, decoded_token: "" }];
  return { prompt_logprobs: [null, ...positions.map((position) => Object.fromEntries(position.map(entry)))] };
}

async function stream(response: ServerResponse, tokens: AsyncIterable<GeneratedToken>): Promise<undefined> {
  response.writeHead(200, { "content-type": "text/event-stream" });
  for await (const token of tokens) {
    response.write(`data: ${JSON.stringify({ choices: [vllmChoice([token], token.top.length)] })}\n\n`);
  }
  response.end("data: [DONE]\n\n");
}

export function serveSglang(engine: InferenceEngine): Promise<WireServer> {
  // The embedded engine keeps one place free, as the engine in front does.
  const contextLength = engine.info().contextLength - 1;
  const named = ({ id, logprob }: TokenLogprob) => [logprob, id, null];
  return serve({
    "/get_server_info": async () => ({
      version: "0.0.0-documented",
      context_length: contextLength,
      max_total_num_tokens: 9_999,
    }),
    "/v1/models": async () => ({ object: "list", data: [{ id: "served", max_model_len: contextLength }] }),
    "/v1/tokenize": async ({ prompt }) => ({ tokens: await tokenized(engine, String(prompt)) }),
    "/generate": async (body, _response, signal) => {
      const ids = body.input_ids as number[];
      const top = Number(body.top_logprobs_num);
      const start = body.logprob_start_len as number | undefined;
      const job = { promptIds: ids, maxTokens: 1, sampling: DEFAULT_SAMPLING, seed: new Uint8Array(32), top };
      const output = await collect(engine.generate(job, signal));
      const meta = { output_top_logprobs: output.map((token) => token.top.map(named)) };
      if (start === undefined) return { meta_info: meta };
      const outputIds = ids.slice(start + 1);
      const positions = await engine.score({ promptIds: ids.slice(0, start + 1), outputIds, top }, signal);
      const own = positions.map((position, i) => named(position.find(({ id }) => id === outputIds[i])!));
      const tops = positions.map((position) => position.slice(0, top).map(named));
      return {
        meta_info: {
          ...meta,
          input_token_logprobs: [[null, ids[start], null], ...own],
          input_top_logprobs: [null, ...tops],
        },
      };
    },
  });
}

/** Both read the name of a control token as that token. */
async function tokenized(engine: InferenceEngine, text: string): Promise<number[]> {
  const stop = engine.vocabulary.stopTokenIds[0]!;
  const ids: number[] = [];
  const parts = text.split(engine.vocabulary.nameOf(stop));
  for (const [i, part] of parts.entries()) {
    if (i > 0) ids.push(stop);
    // Behind the token that begins a text, which these routes leave out when asked.
    if (part !== "")
      ids.push(...(await engine.render({ prompt: part })).filter((id) => engine.vocabulary.bytesOf(id).length > 0));
  }
  return ids;
}

class Refused extends Error {}

async function serve(routes: Readonly<Record<string, Answer>>): Promise<WireServer> {
  const server: Server = createServer((request, response) => {
    const gone = new AbortController();
    response.on("close", () => gone.abort());
    const route = routes[request.url ?? ""];
    const reply = (status: number, body: unknown): void => {
      if (response.headersSent) return void response.end();
      response.writeHead(status, { "content-type": "application/json" });
      response.end(JSON.stringify(body));
    };
    if (!route) return reply(404, { detail: "Not Found" });
    bodyOf(request)
      .then((body) => route(body, response, gone.signal))
      .then(
        (body) => body !== undefined && reply(200, body),
        (error: unknown) =>
          reply(error instanceof Refused || isKaratError(error) ? 400 : 500, { error: { message: String(error) } }),
      );
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

async function bodyOf(request: IncomingMessage): Promise<Body> {
  let text = "";
  for await (const piece of request) text += String(piece);
  return text === "" ? {} : (JSON.parse(text) as Body);
}
