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

export type OpenAiFinishReason = "stop" | "length";

/** OpenAI does not tell a stop sequence from a stop token. */
export const openAiFinish = (reason: string): OpenAiFinishReason => (reason === "length" ? "length" : "stop");
