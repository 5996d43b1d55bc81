/**
 * llama.cpp inside the child process. Sampling is ours: the native chain is greedy, which leaves the candidates as the full
 * vocabulary of raw logits, and the token is chosen by `@karat/rules` from the seed.
 */
import { type Allowed, type ConstrainedAnswer, RuleError, sample } from "@karat/rules";
import {
  type ChatHistoryItem,
  type ChatWrapper,
  type ControlledEvaluateIndexOutput,
  type ControlledEvaluateInputItem,
  getLlama,
  getModuleVersion,
  type Llama,
  type LlamaContextSequence,
  LlamaLogLevel,
  type LlamaModel,
  resolveChatWrapper,
  type Token,
} from "node-llama-cpp";
import { type Constraints, constraintsOf } from "../constraints.ts";
import type { ChatMessage, GeneratedToken, PromptInput, ScoreJob, TokenLogprob } from "../engine.ts";
import { withCpuVariant } from "./cpuVariant.ts";
import { openEmbedder } from "./embedder.ts";
import { readGgufHeader } from "./gguf.ts";
import type { EmbedRequest, GenerateRequest, KvCacheType, LoadOptions } from "./messages.ts";
import { vocabularyOf } from "./vocabulary.ts";

/** The sampler's allowed set is drawn from this many raw logits. */
const SAMPLING_TOP = 64;
const GREEDY = { temperature: 0 } as const;
/** Tokens of one prefill piece that is not aborted: the signal is looked at between pieces. */
const PREFILL_PIECE = 2048;
/** Logits asked for in one piece of a prefill: each becomes an entry of a map. */
const MAX_LOGITS_PER_PIECE = 1_000_000;

export interface Runtime {
  contextSize: number;
  stopTokenIds: number[];
  build: string;
  /** Absent where the model has no vector for its last token. */
  embeddingDimensions: number | undefined;
  render(input: PromptInput): number[];
  generate(job: GenerateRequest, signal: AbortSignal): AsyncGenerator<GeneratedToken>;
  score(job: ScoreJob, signal: AbortSignal): Promise<TokenLogprob[][]>;
  embed(job: EmbedRequest, signal: AbortSignal): Promise<Float32Array[]>;
  close(): Promise<void>;
}

export async function loadRuntime(options: LoadOptions): Promise<Runtime> {
  const start = (): Promise<Llama> =>
    getLlama({
      gpu: false,
      build: "never",
      skipDownload: true,
      maxThreads: 0,
      logLevel: LlamaLogLevel.error,
      logger: (_level, message) => process.stderr.write(`${message.trimEnd()}\n`),
    });
  const llama = await (options.cpuVariant === undefined ? start() : withCpuVariant(options.cpuVariant, start));
  const model = await llama.loadModel({
    modelPath: options.modelPath,
    // What the context of embeddings takes: it has no setting of its own.
    defaultContextFlashAttention: options.flashAttention ?? false,
  });
  const contextSize = Math.min(options.contextSize, model.trainContextSize);
  const context = await model.createContext({
    contextSize,
    sequences: options.sequences,
    batchSize: Math.min(options.batchSize, contextSize * options.sequences),
    threads: options.threads,
    ...(options.flashAttention === undefined ? {} : { flashAttention: options.flashAttention }),
    ...(options.kvCache === undefined ? {} : kvCacheOf(options.kvCache)),
  });
  const embedder = openEmbedder(model, { ...options, contextSize });
  const wrapper = resolveChatWrapper(model); // takes a tenth of a second: once
  const idle: LlamaContextSequence[] = [];
  for (let i = 0; i < options.sequences; i++) idle.push(context.getSequence());
  const stopTokenIds: number[] = [];
  const vocabularySize = model.fileInfo.metadata.tokenizer.ggml.tokens.length;
  for (let id = 0; id < vocabularySize; id++) if (model.isEogToken(id as Token)) stopTokenIds.push(id);
  const stops = new Set(stopTokenIds);

  let constraints: Promise<Constraints> | undefined;
  /** Made for the first request that is constrained: most models never see one. */
  const loadConstraints = (): Promise<Constraints> => {
    constraints ??= readGgufHeader(options.modelPath).then((header) =>
      constraintsOf(vocabularyOf(header, stopTokenIds)),
    );
    return constraints;
  };

  /** The parent never sends more jobs than there are sequences. */
  async function withSequence<T>(use: (sequence: LlamaContextSequence) => Promise<T>): Promise<T> {
    const sequence = idle.pop();
    if (!sequence) throw new Error("no idle sequence");
    try {
      await sequence.clearHistory();
      return await use(sequence);
    } finally {
      idle.push(sequence);
    }
  }

  async function* generate(job: GenerateRequest, signal: AbortSignal): AsyncGenerator<GeneratedToken> {
    const sequence = idle.pop();
    if (!sequence) throw new Error("no idle sequence");
    try {
      await sequence.clearHistory();
      const answer = job.constraint && (await loadConstraints()).answer(job.constraint, job.maxTokens);
      const counts = new Map<number, number>();
      for (const id of job.prefixIds) {
        counts.set(id, (counts.get(id) ?? 0) + 1);
        answer?.accept(id);
      }
      let next: readonly number[] = [...job.promptIds, ...job.prefixIds];
      for (let position = job.prefixIds.length; position < job.maxTokens; position++) {
        const allowed = answer?.next();
        if (allowed?.count === 0)
          throw new RuleError("invalid_request", "prefix_ids", "the prefix breaks the constraint");
        const output = await evaluate(sequence, next, wanted(answer, allowed, SAMPLING_TOP), signal);
        if (signal.aborted) return;
        const logprobs = toLogprobs(output);
        const logits = logprobs.map((entry) => [entry.id, entry.logprob] as const);
        const candidates = answer ? answer.candidates(allowed, logits) : logits;
        const id = sample(job.sampling, job.seed, position, candidates, counts);
        counts.set(id, (counts.get(id) ?? 0) + 1);
        answer?.accept(id);
        const logprob = logprobs.find((entry) => entry.id === id)?.logprob;
        if (logprob === undefined) throw new Error("the sampler chose a token that was not offered");
        yield { id, logprob, top: logprobs.slice(0, job.top) };
        if (stops.has(id)) return;
        next = [id];
      }
    } finally {
      idle.push(sequence);
    }
  }

  return {
    contextSize,
    stopTokenIds,
    build: `node-llama-cpp ${await getModuleVersion()} (llama.cpp ${llama.llamaCppRelease.release})`,
    render: (input) => render(model, wrapper, input),
    generate,
    embeddingDimensions: embedder?.dimensions,
    embed: async ({ inputs }, signal) => {
      if (!embedder) throw new Error("the model has no embeddings");
      return embedder.embed(inputs, signal);
    },
    score: (job, signal) =>
      withSequence(async (sequence) => {
        const { constrained } = job;
        const answer = constrained && (await loadConstraints()).answer(constrained.constraint, constrained.maxTokens);
        for (const id of constrained?.prefixIds ?? []) answer?.accept(id);
        const ids = [...job.promptIds, ...job.outputIds.slice(0, -1)];
        const first = job.promptIds.length - 1; // its next token is output 0
        const positions: TokenLogprob[][] = [];
        for (let start = 0; start < ids.length && !signal.aborted; ) {
          const items: ControlledEvaluateInputItem[] = [];
          const shown: (Shown | undefined)[] = [];
          for (let logits = 0; start + items.length < ids.length && items.length < PREFILL_PIECE; ) {
            const id = ids[start + items.length] as Token;
            const position = start + items.length - first;
            if (position < 0) {
              items.push(id);
              continue;
            }
            const chosen = job.outputIds[position]!;
            const allowed = answer?.next();
            const { top, ids: further } = wanted(answer, allowed, job.top);
            logits += top + further.length;
            if (items.length > 0 && logits > MAX_LOGITS_PER_PIECE) break;
            answer?.accept(chosen);
            items.push([id, wantTop(top, [...new Set([chosen, ...further])] as Token[])]);
            shown.push({ allowed, chosen, biased: answer?.biasedIds ?? [] });
          }
          const outputs = await sequence.controlledEvaluate(items);
          for (const [i, output] of outputs.slice(outputs.length - shown.length).entries()) {
            positions.push(mostLikely(toLogprobs(output), job.top, shown[i]!));
          }
          start += items.length;
        }
        return positions;
      }),
    close: async () => {
      await llama.dispose();
    },
  };
}

function kvCacheOf(type: KvCacheType) {
  const ggml = { f32: "F32", f16: "F16", q8_0: "Q8_0" } as const;
  return { experimentalKvCacheKeyType: ggml[type], experimentalKvCacheValueType: ggml[type] };
}

/** Appends tokens to a sequence; the result belongs to the last of them. */
async function evaluate(
  sequence: LlamaContextSequence,
  ids: readonly number[],
  { top, ids: tokens }: { top: number; ids: readonly number[] },
  signal: AbortSignal,
): Promise<ControlledEvaluateIndexOutput | undefined> {
  let last: ControlledEvaluateIndexOutput | undefined;
  for (let start = 0; start < ids.length && !signal.aborted; start += PREFILL_PIECE) {
    const piece = ids.slice(start, start + PREFILL_PIECE) as Token[];
    const isLast = start + piece.length === ids.length;
    const outputs = await sequence.controlledEvaluate(
      piece.map((id, i) => (isLast && i === piece.length - 1 ? [id, wantTop(top, tokens as Token[])] : id)),
    );
    last = outputs.at(-1);
  }
  return last;
}

/** Which logits hold the `top` most likely of the tokens that may be chosen. */
const wanted = (answer: ConstrainedAnswer | undefined, allowed: Allowed | undefined, top: number) =>
  answer?.needed(allowed, top) ?? { top, ids: [] };

/** What is shown of a position beside its most likely tokens. */
interface Shown {
  allowed: Allowed | undefined;
  chosen: number;
  biased: readonly number[];
}

/** Of more logits than were wanted (a constraint needs many to be sure of its best): the `top` likeliest, and as many allowed ones. */
function mostLikely(logprobs: TokenLogprob[], top: number, { allowed, chosen, biased }: Shown): TokenLogprob[] {
  if (!allowed) return logprobs;
  const named = new Set([chosen, ...biased]);
  let left = top + biased.length;
  return logprobs.filter(({ id }, rank) => rank < top || named.has(id) || (allowed.has(id) && left-- > 0));
}

/** Ask for the logits of the `top` most likely tokens and of given ones, with the normaliser. */
function wantTop(top: number, tokens: Token[] = []) {
  return {
    generateNext: {
      // The selected token of the greedy chain is the maximum, which the normaliser is relative to.
      logits: { filter: { tokens, includeTop: top, includeSelected: true } },
      totalLogitWeight: true,
      options: GREEDY,
    },
  };
}

/** Raw log-probabilities, descending, ties by id: l − (max + ln Σ exp(l − max)). */
function toLogprobs(output: ControlledEvaluateIndexOutput | undefined): TokenLogprob[] {
  const logits = output?.next.logits;
  const weight = output?.next.totalLogitWeight;
  if (!logits || weight === undefined) throw new Error("the engine returned no logits");
  let max = Number.NEGATIVE_INFINITY;
  for (const logit of logits.values()) if (logit > max) max = logit;
  const normaliser = max + Math.log(weight);
  const entries: TokenLogprob[] = [];
  for (const [id, logit] of logits) entries.push({ id, logprob: logit - normaliser });
  return entries.sort((a, b) => b.logprob - a.logprob || a.id - b.id);
}

/** Only the template yields control tokens; what people wrote is tokenised as plain text. */
function render(model: LlamaModel, wrapper: ChatWrapper, input: PromptInput): number[] {
  if ("prompt" in input) {
    const ids = typeof input.prompt === "string" ? model.tokenize(input.prompt, false) : [...input.prompt];
    const bos = model.tokens.bos;
    const prepend =
      bos !== null && (ids.length === 0 || (typeof input.prompt === "string" && model.tokens.shouldPrependBosToken));
    const eos = input.whole && model.tokens.shouldAppendEosToken ? model.tokens.eos : null;
    return [...(prepend ? [bos] : []), ...ids, ...(eos === null ? [] : [eos])];
  }
  const history = input.messages.map(historyItem);
  if (history.at(-1)?.type !== "model") history.push({ type: "model", response: [] });
  const { contextText } = wrapper.generateContextState({ chatHistory: history });
  return contextText.tokenize(model.tokenizer);
}

function historyItem({ role, content }: ChatMessage): ChatHistoryItem {
  switch (role) {
    case "system":
    case "developer":
      return { type: "system", text: content };
    case "assistant":
      return { type: "model", response: [content] };
    case "user":
    case "tool":
      return { type: "user", text: content };
  }
}
