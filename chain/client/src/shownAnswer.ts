import { openAiFinish } from "@karat/common/openai";
import { mismatch } from "./delivery.ts";

export interface ShownCall {
  readonly name: string;
  readonly arguments: string;
}

export interface ShownUsage {
  readonly prompt_tokens: number;
  readonly completion_tokens: number;
}

/** What a client has been shown of an answer, as a whole or in the events of a stream, whichever endpoint it asked. */
export interface Shown<Event, Whole> {
  readonly text: string;
  readonly calls: readonly ShownCall[];
  readonly usage: ShownUsage | undefined;
  /** The receipt, which comes last. */
  readonly karat: unknown;
  /** The node told of an error within the stream. */
  readonly failed: boolean;
  /** It was told how the answer ended. */
  readonly ended: boolean;
  /** Throws KaratError `receipt_mismatch` for what no stream of this network has; `name` is that of the server-sent event. */
  add(event: Event, name: string | undefined): void;
  addWhole(answer: Whole): void;
  /** Throws KaratError `receipt_mismatch` unless it was told that the answer ended for this reason, in the words of its endpoint. */
  requireEnd(reason: "stop" | "length"): void;
}

/** Text and calls, as a whole chat completion (`message`) or a chunk of one (`delta`) shows them. */
interface ShownMessage {
  readonly role?: string;
  readonly content?: string | null;
  readonly tool_calls?: readonly {
    readonly index?: number;
    readonly function?: { readonly name?: string; readonly arguments?: string };
  }[];
}

interface ShownChoice {
  readonly index?: number;
  readonly message?: ShownMessage;
  readonly delta?: ShownMessage;
  readonly text?: string;
  readonly finish_reason?: string | null;
}

/** A whole answer of chat completions or completions, or one event of a stream. */
export interface ShownEvent {
  readonly choices?: readonly ShownChoice[];
  readonly usage?: ShownUsage | null;
  readonly karat?: unknown;
  readonly error?: unknown;
}

/**
 * Of chat completions or completions: the text and the calls of all events, where a client of that endpoint looks for them. KaratError
 * `receipt_mismatch` {choices} for more than the one choice, {finish_reason} for more than one end.
 */
export class ShownAnswer implements Shown<ShownEvent, ShownEvent> {
  readonly #chat: boolean;
  text = "";
  readonly calls: { name: string; arguments: string }[] = [];
  usage: ShownUsage | undefined;
  karat: unknown;
  failed = false;
  #finishReason: string | undefined;

  constructor({ chat }: { chat: boolean }) {
    this.#chat = chat;
  }

  get ended(): boolean {
    return this.#finishReason !== undefined;
  }

  requireEnd(reason: "stop" | "length"): void {
    if (this.#finishReason !== openAiFinish(reason, this.calls.length > 0)) throw mismatch("finish_reason");
  }

  addWhole(answer: ShownEvent): void {
    const { message, text } = this.#choice(answer);
    this.text += (this.#chat ? message?.content : text) ?? "";
    for (const { function: called } of message?.tool_calls ?? []) {
      this.calls.push({ name: called?.name ?? "", arguments: called?.arguments ?? "" });
    }
  }

  add(event: ShownEvent, name: string | undefined): void {
    // Readers take events with names for something else.
    if (name !== undefined) throw mismatch("events");
    const { delta, text } = this.#choice(event);
    this.text += (this.#chat ? delta?.content : text) ?? "";
    for (const [at, { index = at, function: part }] of (delta?.tool_calls ?? []).entries()) {
      // A node that is not honest could name any place: calls begin one behind the other.
      if (!Number.isInteger(index) || index < 0 || index > this.calls.length) throw mismatch("tool_calls");
      this.calls[index] ??= { name: "", arguments: "" };
      const call = this.calls[index];
      call.name += part?.name ?? "";
      call.arguments += part?.arguments ?? "";
    }
  }

  #choice(event: ShownEvent): ShownChoice {
    this.usage = event.usage ?? this.usage;
    this.karat = event.karat ?? this.karat;
    // Readers throw nothing for one that is null.
    if (event.error) this.failed = true;
    const [choice = {}, ...more] = event.choices ?? [];
    if (more.length > 0 || (choice.index ?? 0) !== 0) throw mismatch("choices");
    const { finish_reason: finishReason, message, delta } = choice;
    // A refusal, thoughts: no receipt has them.
    const { role: _role, content: _content, tool_calls: _calls, ...other } = { ...message, ...delta };
    if (Object.values(other).some((value) => value !== null)) throw mismatch("choices");
    if (finishReason !== undefined && finishReason !== null) {
      if (this.ended) throw mismatch("finish_reason");
      this.#finishReason = finishReason;
    }
    return choice;
  }
}
