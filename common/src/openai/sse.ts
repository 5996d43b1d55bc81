/** Server-sent events as the OpenAI SDKs read them. */

/** One `data:` event. An object with a top-level `error` is an in-band error for every SDK. */
export const sseEvent = (payload: unknown): string => `data: ${JSON.stringify(payload)}\n\n`;

/** The end of a stream; readers ignore what follows. */
export const SSE_DONE = "data: [DONE]\n\n";

export const SSE_HEADERS: Readonly<Record<string, string>> = {
  "content-type": "text/event-stream; charset=utf-8",
  "cache-control": "no-cache, no-transform",
  connection: "keep-alive",
  // Proxies such as nginx would otherwise collect the tokens.
  "x-accel-buffering": "no",
};
