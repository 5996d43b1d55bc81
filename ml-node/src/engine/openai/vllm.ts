/**
 * vLLM: token ids as prompt of `/v1/completions`; `prompt_logprobs` scores an answer in one prefill, unpatched. With Karat's logits processor
 * (`ml-node/vllm`) a whole answer is one call, without it each token is one.
 */
import { KaratError } from "@karat/common";
import { DEFAULT_SAMPLING, MICROS, type SamplingParams, sample } from "@karat/rules";
import type { GeneratedToken, GenerateJob, TokenLogprob } from "../engine.ts";
import { type Backend, type ServerAddress, sorted, unexpected, Wire } from "./backend.ts";

interface Models {
  readonly data: readonly { readonly id: string; readonly max_model_len?: number }[];
}
type Position = Readonly<Record<string, number>>;
interface Choice {
  readonly token_ids?: readonly number[] | null;
  readonly logprobs?: { readonly top_logprobs: readonly (Position | null)[] } | null;
  readonly prompt_logprobs?: readonly (Readonly<Record<string, { readonly logprob: number }>> | null)[] | null;
}
interface Completion {
  readonly choices: readonly Choice[];
}

/** The sampler's allowed set is drawn from this many; vLLM's own limit is 20 unless told otherwise. */
const NEEDED_LOGPROBS = 64;
/** Tokens that decode alike would share a key. */
const REPORT = { return_tokens_as_token_ids: true, return_token_ids: true } as const;

/** undefined where the server is none. Throws `engine_unsupported` {reason, remedy} when its settings do not suffice. */
export async function connectVllm(address: ServerAddress): Promise<Backend | undefined> {
  const wire = new Wire(address);
  const version = await wire.find<{ version?: unknown }>("/version");
  if (typeof version?.version !== "string") return undefined;
  const { data } = await wire.get<Models>("/v1/models");
  const served = data.find(({ id }) => address.serverModel === undefined || id === address.serverModel);
  if (served?.max_model_len === undefined) throw unsupported("it does not serve this model", "check --server-model");
  const server = new Vllm(wire, served.id, served.max_model_len, `vllm ${version.version}`);
  await server.probe(address.serverSamples === true);
  return server;
}

class Vllm implements Backend {
  readonly kind = "vllm";
  readonly readsControlTokens = true;
  readonly build: string;
  readonly contextLength: number;
  capabilities: Backend["capabilities"] = { generation: "call_per_token", scoring: "one_prefill", checks: ["D", "G"] };
  generate?: NonNullable<Backend["generate"]>;
  readonly #wire: Wire;
  readonly #model: string;

  constructor(wire: Wire, model: string, contextLength: number, build: string) {
    this.#wire = wire;
    this.#model = model;
    this.contextLength = contextLength;
    this.build = build;
  }

  /** Finds out whether enough log-probabilities are reported, and whether a seed decides, where it shall. */
  async probe(serverSamples: boolean): Promise<void> {
    const top = await this.next([0], NEEDED_LOGPROBS).catch((error: unknown) => {
      if (!(error instanceof KaratError) || error.code !== "engine_refused") throw error;
      throw unsupported("it reports too few log-probabilities", `start vLLM with --max-logprobs ${NEEDED_LOGPROBS}`);
    });
    if (serverSamples) {
      this.capabilities = { ...this.capabilities, generation: "server", checks: ["D", "S"] };
      this.generate = (job, stopTokenIds, signal) => this.#generate(job, drawn(job), stopTokenIds, signal);
      return;
    }
    const params: SamplingParams = { ...DEFAULT_SAMPLING, temperatureMicros: 2_000_000 };
    const logits = top.map(({ id, logprob }) => [id, logprob] as const);
    for (let i = 0; i < PROBES; i++) {
      const seed = new Uint8Array(32).fill(i);
      const { choices } = await this.#complete([0], { ...seeded(params, seed, 0), logprobs: 1 });
      if (choices[0]?.token_ids?.[0] !== sample(params, seed, 0, logits)) return;
    }
    this.capabilities = { ...this.capabilities, generation: "plugin" };
    this.generate = (job, stopTokenIds, signal) => {
      const { sampling, seed, prefixIds = [] } = job;
      return this.#generate(job, seeded(sampling, seed, prefixIds.length), stopTokenIds, signal);
    };
  }

  async tokenize(text: string, signal?: AbortSignal): Promise<number[]> {
    const body = { model: this.#model, prompt: text, add_special_tokens: false };
    return (await this.#wire.post<{ tokens: number[] }>("/tokenize", body, signal)).tokens;
  }

  async next(ids: readonly number[], top: number, signal?: AbortSignal): Promise<TokenLogprob[]> {
    const { choices } = await this.#complete(ids, { logprobs: top }, signal);
    const position = choices[0]?.logprobs?.top_logprobs[0];
    if (!position) throw unexpected("vllm", "no logprobs");
    return entriesOf(position).slice(0, top);
  }

  async positions(
    promptIds: readonly number[],
    outputIds: readonly number[],
    top: number,
    signal?: AbortSignal,
  ): Promise<TokenLogprob[][]> {
    const more = { prompt_logprobs: Math.min(top, NEEDED_LOGPROBS) };
    const { choices } = await this.#complete([...promptIds, ...outputIds], more, signal);
    const all = choices[0]?.prompt_logprobs;
    if (all?.length !== promptIds.length + outputIds.length) throw unexpected("vllm", "prompt_logprobs");
    return all.slice(promptIds.length).map((position) => {
      if (!position) throw unexpected("vllm", "prompt_logprobs");
      return sorted(Object.entries(position).map(([id, { logprob }]) => ({ id: Number(id), logprob })));
    });
  }

  async *#generate(
    { promptIds, prefixIds = [], maxTokens, top }: GenerateJob,
    choosing: object,
    stopTokenIds: readonly number[],
    signal?: AbortSignal,
  ): AsyncGenerator<GeneratedToken> {
    const body = this.#body([...promptIds, ...prefixIds], {
      ...choosing,
      max_tokens: maxTokens - prefixIds.length,
      stop_token_ids: stopTokenIds,
      // One at least, so that the chosen token's own is among them.
      logprobs: Math.max(top, 1),
    });
    for await (const { choices } of this.#wire.stream<Completion>("/v1/completions", body, signal)) {
      const { token_ids: ids, logprobs } = choices[0] ?? {};
      for (const [i, id] of (ids ?? []).entries()) {
        const entries = entriesOf(logprobs?.top_logprobs[i] ?? {});
        const own = entries.find((entry) => entry.id === id);
        if (!own) throw unexpected("vllm", "the chosen token has no logprob");
        yield { ...own, top: entries.slice(0, top) };
      }
    }
  }

  #complete(prompt: readonly number[], more: object, signal?: AbortSignal): Promise<Completion> {
    return this.#wire.post("/v1/completions", this.#body(prompt, { max_tokens: 1, ...more }), signal);
  }

  #body(prompt: readonly number[], more: object): object {
    return { model: this.#model, prompt, temperature: 0, ...REPORT, ...more };
  }
}

/** By chance a server without the plug-in agrees with that many seeds once in many billions. */
const PROBES = 8;

/** What the logits processor reads of a request. */
const seeded = (sampling: SamplingParams, seed: Uint8Array, position: number): object => ({
  vllm_xargs: {
    karat_seed: Buffer.from(seed).toString("hex"),
    karat_sampling: JSON.stringify(sampling),
    karat_position: position,
  },
});

/** What vLLM's own sampler reads. The seed only makes a repetition alike: nobody can check it. */
const drawn = ({ sampling, seed }: GenerateJob): object => ({
  temperature: sampling.temperatureMicros / MICROS,
  top_k: sampling.topK,
  top_p: sampling.topPMicros / MICROS,
  min_p: sampling.minPMicros / MICROS,
  frequency_penalty: sampling.frequencyPenaltyMicros / MICROS,
  presence_penalty: sampling.presencePenaltyMicros / MICROS,
  seed: Buffer.from(seed).readUInt32BE(),
});

const entriesOf = (position: Position): TokenLogprob[] =>
  sorted(Object.entries(position).map(([name, logprob]) => ({ id: idOf(name), logprob })));

function idOf(name: string): number {
  const id = /^token_id:(\d+)$/.exec(name)?.[1];
  if (id === undefined) throw unexpected("vllm", `token name ${name}`);
  return Number(id);
}

const unsupported = (reason: string, remedy: string): KaratError =>
  new KaratError("engine_unsupported", "this inference server cannot be used as it is", { reason, remedy });
