/** Builders of `response` objects (POST /v1/responses) and of the typed events of their streams. */
import type { TextToken } from "./chat.ts";
import { type ChatTokenLogprob, chatLogprob } from "./logprobs.ts";
import { type AnswerPiece, callId, type PieceReader } from "./pieces.ts";
import { type Usage, usageOf } from "./usage.ts";

/** What a response repeats of its request. */
export interface ResponseSettings {
  model: string;
  instructions: string | null;
  metadata: Record<string, string> | null;
  temperature: number | null;
  top_p: number | null;
  max_output_tokens: number | null;
  tools: readonly object[];
  tool_choice: string | object;
  parallel_tool_calls: boolean;
  text: { format: object };
}

export interface ResponseFormat extends ResponseSettings {
  /** "resp_…". */
  id: string;
  /** Unix seconds. */
  created: number;
  /** Number of alternatives to show, 0…20; absent: no log-probabilities. */
  topLogprobs?: number;
}

interface OutputText {
  type: "output_text";
  text: string;
  annotations: [];
  logprobs: (ChatTokenLogprob & { bytes: number[] })[];
}

/** How a response tells its end: cut off at its maximum of tokens, or complete. */
export const responseEnd = (finishReason: string): ResponseEnd =>
  finishReason === "length"
    ? { status: "incomplete", incomplete_details: { reason: "max_output_tokens" } }
    : { status: "completed", incomplete_details: null };

interface ResponseEnd {
  status: "completed" | "incomplete";
  incomplete_details: { reason: "max_output_tokens" } | null;
}

type ItemStatus = "in_progress" | "completed" | "incomplete";

interface MessageItem {
  type: "message";
  id: string;
  status: ItemStatus;
  role: "assistant";
  content: OutputText[];
}

interface CallItem {
  type: "function_call";
  id: string;
  call_id: string;
  name: string;
  arguments: string;
  status: ItemStatus;
}

export type OutputItem = MessageItem | CallItem;

export interface ResponseEvent {
  type: string;
  sequence_number: number;
  [field: string]: unknown;
}

type EventBody = Omit<ResponseEvent, "sequence_number"> & { type: string };

/** An event as it is sent: the API names it in the `event:` line too. */
export const responseEvent = (event: { type: string }): string =>
  `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`;

/** The events of an answer as its tokens come, and the whole response at the end. */
export class ResponseStream {
  readonly #format: ResponseFormat;
  readonly #reader: PieceReader | undefined;
  readonly #output: OutputItem[] = [];
  #open: OutputItem | undefined;
  #sequence = 0;

  constructor(format: ResponseFormat, reader?: PieceReader) {
    this.#format = format;
    this.#reader = reader;
  }

  begin(): ResponseEvent[] {
    const response = this.#response({ status: "in_progress", incomplete_details: null }, null);
    return [
      this.#event({ type: "response.created", response }),
      this.#event({ type: "response.in_progress", response }),
    ];
  }

  token(token: TextToken): ResponseEvent[] {
    const pieces = this.#reader ? this.#reader.push(token.text) : [{ type: "text" as const, text: token.text }];
    return pieces.flatMap((piece, i) => this.#piece(piece, i === 0 ? token : undefined));
  }

  /** What was held back, the ends of what is open, and the whole response, with further fields of its own. */
  finish(finishReason: string, usage: Usage, further: object = {}): ResponseEvent[] {
    const rest = (this.#reader?.finish() ?? []).flatMap((piece) => this.#piece(piece));
    const end = responseEnd(finishReason);
    const ends = this.#close(end.status);
    const response = { ...this.#response(end, usage), ...further };
    return [...rest, ...ends, this.#event({ type: `response.${end.status}`, response })];
  }

  /** The last event of a stream that failed. */
  fail({ code, message, param }: { code: string | null; message: string; param: string | null }): ResponseEvent {
    return this.#event({ type: "error", code, message, param });
  }

  #piece(piece: AnswerPiece, token?: TextToken): ResponseEvent[] {
    if (piece.type === "text") return this.#text(piece.text, token);
    const { id } = this.#format;
    if (piece.type === "call") {
      const item: CallItem = {
        type: "function_call",
        id: `fc_${id.slice(5)}_${piece.index}`,
        call_id: callId(id, piece.index),
        name: piece.name,
        arguments: "",
        status: "in_progress",
      };
      return [...this.#close("completed"), ...this.#add(item)];
    }
    const item = this.#open;
    if (item?.type !== "function_call") return [];
    item.arguments += piece.text;
    return [this.#within(item, { type: "response.function_call_arguments.delta", delta: piece.text })];
  }

  #text(delta: string, token?: TextToken): ResponseEvent[] {
    const logprobs = this.#logprobs(token);
    if (delta === "" && logprobs.length === 0) return [];
    const begun = this.#open?.type === "message" ? [] : this.#beginMessage();
    const item = this.#open as MessageItem;
    const part = item.content[0]!;
    part.text += delta;
    part.logprobs.push(...logprobs);
    return [...begun, this.#within(item, { type: "response.output_text.delta", content_index: 0, delta, logprobs })];
  }

  #beginMessage(): ResponseEvent[] {
    const id = `msg_${this.#format.id.slice(5)}_${this.#output.length}`;
    const item: MessageItem = { type: "message", id, status: "in_progress", role: "assistant", content: [] };
    const added = [...this.#close("completed"), ...this.#add(item)];
    const part: OutputText = { type: "output_text", text: "", annotations: [], logprobs: [] };
    const shown = this.#within(item, { type: "response.content_part.added", content_index: 0, part: { ...part } });
    item.content.push(part);
    return [...added, shown];
  }

  #add(item: OutputItem): ResponseEvent[] {
    this.#open = item;
    this.#output.push(item);
    const shown = item.type === "message" ? { ...item, content: [] } : { ...item };
    return [this.#event({ type: "response.output_item.added", output_index: this.#output.length - 1, item: shown })];
  }

  #close(status: ItemStatus): ResponseEvent[] {
    const item = this.#open;
    if (!item) return [];
    this.#open = undefined;
    item.status = status;
    const done =
      item.type === "function_call"
        ? [
            this.#within(item, {
              type: "response.function_call_arguments.done",
              name: item.name,
              arguments: item.arguments,
            }),
          ]
        : item.content.flatMap((part) => [
            this.#within(item, {
              type: "response.output_text.done",
              content_index: 0,
              text: part.text,
              logprobs: part.logprobs,
            }),
            this.#within(item, { type: "response.content_part.done", content_index: 0, part }),
          ]);
    return [
      ...done,
      this.#event({ type: "response.output_item.done", output_index: this.#output.indexOf(item), item }),
    ];
  }

  #logprobs(token: TextToken | undefined): OutputText["logprobs"] {
    const top = this.#format.topLogprobs;
    if (top === undefined || !token) return [];
    const { top_logprobs: alternatives, ...own } = chatLogprob(token, top);
    // Unlike in a chat completion, null is no list of bytes here.
    const bytesOf = <T extends { bytes: number[] | null }>(value: T) => ({ ...value, bytes: value.bytes ?? [] });
    return [{ ...bytesOf(own), top_logprobs: alternatives.map(bytesOf) }];
  }

  #within(item: OutputItem, body: EventBody): ResponseEvent {
    return this.#event({ ...body, item_id: item.id, output_index: this.#output.indexOf(item) });
  }

  #event(body: EventBody): ResponseEvent {
    return { ...body, type: body.type, sequence_number: this.#sequence++ };
  }

  #response(
    { status, incomplete_details }: ResponseEnd | { status: "in_progress"; incomplete_details: null },
    usage: Usage | null,
  ): object {
    const { id, created, topLogprobs, ...settings } = this.#format;
    return {
      id,
      object: "response",
      created_at: created,
      status,
      ...(status === "completed" ? { completed_at: Math.max(created, Math.floor(Date.now() / 1_000)) } : {}),
      background: false,
      error: null,
      incomplete_details,
      ...settings,
      top_logprobs: topLogprobs ?? 0,
      output: this.#output.map((item) => ({ ...item })),
      previous_response_id: null,
      store: false,
      truncation: "disabled",
      ...(usage ? { usage: responseUsage(usage) } : {}),
    };
  }
}

/** The whole response of an answer that is not streamed. */
export function wholeResponse(
  format: ResponseFormat,
  reader: PieceReader | undefined,
  answer: { tokens: readonly TextToken[]; finishReason: string; usage: Usage },
): object {
  const stream = new ResponseStream(format, reader);
  stream.begin();
  for (const token of answer.tokens) stream.token(token);
  const last = stream.finish(answer.finishReason, answer.usage).at(-1);
  return last?.response as object;
}

const responseUsage = ({ prompt_tokens: input, completion_tokens: output }: Usage) => ({
  input_tokens: input,
  input_tokens_details: { cached_tokens: 0, cache_write_tokens: 0 },
  output_tokens: output,
  output_tokens_details: { reasoning_tokens: 0 },
  total_tokens: usageOf(input, output).total_tokens,
});
