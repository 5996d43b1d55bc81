/** The pure half of an OpenAI-compatible server: objects, chunks, errors. No HTTP, no state. */
export {
  type AnswerHeader,
  type ChatChunk,
  type ChatCompletion,
  type ChatFormat,
  ChatStream,
  type ChatToolCall,
  type ChatToolCallDelta,
  chatCompletion,
  chatRoleChunk,
  chatUsageChunk,
  type TextToken,
} from "./chat.ts";
export {
  type CompletionFormat,
  type TextCompletion,
  textCompletion,
  textFinishChunk,
  textTokenChunk,
  textUsageChunk,
} from "./completion.ts";
export {
  type EmbeddingFormat,
  type EmbeddingList,
  embeddingFormat,
  embeddingList,
  requireDimensions,
} from "./embeddings.ts";
export { type OpenAiError, type OpenAiErrorReply, openAiError } from "./errors.ts";
export {
  type ChatTokenLogprob,
  type CompletionLogprobs,
  chatLogprob,
  completionLogprobs,
  type TokenAlternative,
  type TokenWithAlternatives,
} from "./logprobs.ts";
export { type ModelObject, modelList, modelObject } from "./models.ts";
export { type AnswerCall, type AnswerPiece, callId, type PieceReader } from "./pieces.ts";
export {
  type OutputItem,
  type ResponseEvent,
  type ResponseFormat,
  type ResponseSettings,
  ResponseStream,
  responseEnd,
  responseEvent,
  wholeResponse,
} from "./responses.ts";
export { SSE_DONE, SSE_HEADERS, sseEvent } from "./sse.ts";
export { refuseUnsupported, type StreamRequest, streamRequest } from "./unsupported.ts";
export { type OpenAiFinishReason, openAiFinish, type Usage, usageOf } from "./usage.ts";
