export const MODEL = "karat-tiny";
export const PROMPT_TOKENS = 24;
/** The chat body that every way is sent; about 340 bytes. No two prompts are the same: what is remembered of one does not help the next. */
export const requestOf = (maxTokens: number, stream: boolean, number: number): object => ({
  model: MODEL,
  messages: [
    {
      role: "system",
      content:
        "You are a helpful assistant that answers questions about the standard library of Python in one sentence.",
    },
    {
      role: "user",
      content: `${number}: What does os.rename() do, and what happens when the destination exists already?`,
    },
  ],
  max_tokens: maxTokens,
  stream,
});
