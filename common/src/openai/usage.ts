export interface Usage {
  prompt_tokens: number;
  completion_tokens: number;
  total_tokens: number;
}

export const usageOf = (promptTokens: number, completionTokens: number): Usage => ({
  prompt_tokens: promptTokens,
  completion_tokens: completionTokens,
  total_tokens: promptTokens + completionTokens,
});

export type OpenAiFinishReason = "stop" | "length" | "tool_calls";

/** OpenAI does not tell a stop sequence from a stop token, but the end of an answer that calls functions. */
export const openAiFinish = (reason: string, called = false): OpenAiFinishReason =>
  reason === "length" ? "length" : called ? "tool_calls" : "stop";
