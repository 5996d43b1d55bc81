/**
 * llama-server: its native `/completion` takes token ids. It gives no log-probabilities of a prompt, so an answer is scored with one call
 * for each token, which its prompt cache makes one decoding step each.
 */
import type { TokenLogprob } from "../engine.ts";
import { type Backend, type ServerAddress, sorted, unexpected, Wire } from "./backend.ts";

interface Props {
  readonly default_generation_settings?: { readonly n_ctx?: number };
  readonly total_slots?: number;
  readonly build_info?: string;
}
interface Completion {
  readonly completion_probabilities?: readonly { readonly top_logprobs?: readonly TokenLogprob[] }[];
}

/** undefined where the server is none. */
export async function connectLlamaServer(address: ServerAddress): Promise<Backend | undefined> {
  const wire = new Wire(address);
  const props = await wire.find<Props>("/props");
  const contextLength = props?.default_generation_settings?.n_ctx;
  if (contextLength === undefined) return undefined;

  const tokenize: Backend["tokenize"] = async (content, signal) => {
    const body = { content, add_special: false, parse_special: false };
    return (await wire.post<{ tokens: number[] }>("/tokenize", body, signal)).tokens;
  };
  // A token that ends within a character is held back, and its log-probabilities with it. So the server is made to choose a whole letter:
  // what it reports is raw, before any bias, and what it chooses is of no interest.
  const whole = (await tokenize("a")).slice(0, 1).map((id) => [id, 1_000]);

  const next: Backend["next"] = async (ids, top, signal) => {
    const body = { prompt: ids, n_predict: 1, n_probs: top, temperature: 0, cache_prompt: true, logit_bias: whole };
    const reply = await wire.post<Completion>("/completion", body, signal);
    const entries = reply.completion_probabilities?.[0]?.top_logprobs;
    if (!entries?.length) throw unexpected("llama-server", "completion_probabilities");
    return sorted(entries.map(({ id, logprob }) => ({ id, logprob })));
  };
  return {
    kind: "llama-server",
    build: `llama-server ${props?.build_info ?? "unknown"}`,
    contextLength,
    capabilities: { generation: "call_per_token", scoring: "call_per_token", checks: ["D", "G"] },
    readsControlTokens: false,
    tokenize,
    next,
    async positions(promptIds, outputIds, top, signal) {
      const positions: TokenLogprob[][] = [];
      const ids = [...promptIds];
      for (const id of outputIds) {
        positions.push(await withId(next, ids, id, top, signal));
        ids.push(id);
      }
      return positions;
    },
  };
}

/** Tokens that few would choose are found further down: the list is made longer until the id is in it. */
async function withId(
  next: Backend["next"],
  ids: readonly number[],
  id: number,
  top: number,
  signal: AbortSignal | undefined,
): Promise<TokenLogprob[]> {
  for (let reach = Math.max(top, 1); ; reach *= 8) {
    const entries = await next(ids, reach, signal);
    const own = entries.find((entry) => entry.id === id);
    if (own) return sorted([...entries.slice(0, top), own]);
    if (entries.length < reach) throw unexpected("llama-server", `no log-probability of token ${id}`);
  }
}
