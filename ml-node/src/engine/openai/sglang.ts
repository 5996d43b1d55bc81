/** SGLang: its native `/generate` takes token ids and scores them in one prefill. Unpatched. */
import type { TokenLogprob } from "../engine.ts";
import { type Backend, type ServerAddress, sorted, unexpected, Wire } from "./backend.ts";

/** [log-probability, id, text]; the first token of a sequence has no log-probability. */
type Entry = readonly [logprob: number | null, id: number, text: string | null];
interface Generated {
  readonly meta_info: {
    readonly output_top_logprobs?: readonly (readonly Entry[])[];
    readonly input_token_logprobs?: readonly Entry[];
    readonly input_top_logprobs?: readonly (readonly Entry[] | null)[];
  };
}
interface ServerInfo {
  readonly version?: string;
  readonly context_length?: number | null;
  readonly max_total_num_tokens?: number;
}

/** At temperature 1 what SGLang reports of an output is raw, whatever its settings. */
const ONE_TOKEN = { max_new_tokens: 1, temperature: 1 } as const;

/** undefined where the server is none. */
export async function connectSglang(address: ServerAddress): Promise<Backend | undefined> {
  const wire = new Wire(address);
  const info = (await wire.find<ServerInfo>("/get_server_info")) ?? (await wire.find<ServerInfo>("/server_info"));
  if (info?.max_total_num_tokens === undefined) return undefined;
  const models = await wire.get<{ data: { max_model_len?: number }[] }>("/v1/models");
  const contextLength = info.context_length ?? models.data[0]?.max_model_len;
  if (contextLength === undefined) throw unexpected("sglang", "context length");
  return {
    kind: "sglang",
    build: `sglang ${info.version ?? "unknown"}`,
    contextLength,
    capabilities: { generation: "call_per_token", scoring: "one_prefill", checks: ["D", "G"] },
    readsControlTokens: true,
    async tokenize(text, signal) {
      const body = { prompt: text, add_special_tokens: false };
      return (await wire.post<{ tokens: number[] }>("/v1/tokenize", body, signal)).tokens;
    },
    async next(ids, top, signal) {
      const body = { input_ids: ids, sampling_params: ONE_TOKEN, return_logprob: true, top_logprobs_num: top };
      const { meta_info } = await wire.post<Generated>("/generate", body, signal);
      const entries = meta_info.output_top_logprobs?.[0];
      if (!entries) throw unexpected("sglang", "output_top_logprobs");
      return sorted(entries.flatMap(known));
    },
    async positions(promptIds, outputIds, top, signal) {
      const body = {
        input_ids: [...promptIds, ...outputIds],
        sampling_params: ONE_TOKEN,
        return_logprob: true,
        logprob_start_len: promptIds.length - 1,
        top_logprobs_num: top,
      };
      const { meta_info } = await wire.post<Generated>("/generate", body, signal);
      // Counted from the end: versions differ in whether the token at the start has an entry of its own.
      const tops = meta_info.input_top_logprobs?.slice(-outputIds.length);
      const own = meta_info.input_token_logprobs?.slice(-outputIds.length);
      if (tops?.length !== outputIds.length || own?.length !== outputIds.length) {
        throw unexpected("sglang", "input_top_logprobs");
      }
      return outputIds.map((id, i) => {
        if (own[i]?.[1] !== id) throw unexpected("sglang", "input_token_logprobs");
        return sorted([...(tops[i] ?? []), own[i]].flatMap(known));
      });
    },
  };
}

const known = ([logprob, id]: Entry): TokenLogprob[] => (logprob === null ? [] : [{ id, logprob }]);
