/** Token log-probabilities as they come from an ML node, and in the two shapes OpenAI gives them. */

/** One alternative: the readable token, the bytes it adds to the text (none for control tokens) and its raw log-probability. */
export interface TokenAlternative {
  id: number;
  token: string;
  bytes: readonly number[];
  logprob: number;
}

/** A generated token with the most likely alternatives at its position, descending. */
export interface TokenWithAlternatives extends TokenAlternative {
  top: readonly TokenAlternative[];
}

export interface ChatTokenLogprob {
  token: string;
  logprob: number;
  bytes: number[] | null;
  top_logprobs: { token: string; logprob: number; bytes: number[] | null }[];
}

export function chatLogprob(token: TokenWithAlternatives, topLogprobs: number): ChatTokenLogprob {
  return {
    ...alternative(token),
    top_logprobs: token.top.slice(0, topLogprobs).map(alternative),
  };
}

const alternative = ({ token, logprob, bytes }: TokenAlternative) => ({
  token,
  logprob: finite(logprob),
  bytes: bytes.length > 0 ? [...bytes] : null,
});

/** JSON has no infinities; −9999 is what OpenAI and vLLM write for an impossible token. */
const finite = (logprob: number): number => (Number.isFinite(logprob) ? logprob : -9999);

/** The legacy shape of /v1/completions: parallel arrays, alternatives keyed by their text. */
export interface CompletionLogprobs {
  tokens: string[];
  token_logprobs: number[];
  top_logprobs: Record<string, number>[] | null;
  text_offset: number[];
}

/** `offset` is the number of characters before the first token. Alternatives that read alike keep the most likely one. */
export function completionLogprobs(
  tokens: readonly TokenWithAlternatives[],
  alternatives: number,
  offset: number,
): CompletionLogprobs {
  const offsets: number[] = [];
  let at = offset;
  for (const { token, bytes } of tokens) {
    offsets.push(at);
    if (bytes.length > 0) at += token.length;
  }
  const byText = (token: TokenWithAlternatives): Record<string, number> => {
    const entries: Record<string, number> = {};
    for (const { token: text, logprob } of token.top.slice(0, alternatives)) entries[text] ??= finite(logprob);
    return entries;
  };
  return {
    tokens: tokens.map(({ token }) => token),
    token_logprobs: tokens.map(({ logprob }) => finite(logprob)),
    top_logprobs: alternatives > 0 ? tokens.map(byText) : null,
    text_offset: offsets,
  };
}
