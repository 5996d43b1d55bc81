import { responseEnd } from "@karat/common/openai";
import { mismatch } from "./delivery.ts";
import type { Shown, ShownCall, ShownUsage } from "./shownAnswer.ts";

interface ShownPart {
  readonly type?: string;
  readonly text?: string;
}

interface ShownItem {
  readonly type?: string;
  readonly status?: string;
  readonly content?: readonly ShownPart[];
  readonly name?: string;
  readonly arguments?: string;
}

/** A `response` object of `/v1/responses`. */
export interface ResponseObject {
  readonly status?: string;
  readonly incomplete_details?: unknown;
  readonly error?: unknown;
  readonly output?: readonly ShownItem[];
  readonly output_text?: string;
  readonly usage?: { readonly input_tokens: number; readonly output_tokens: number } | null;
  readonly karat?: unknown;
}

/** An event of its streams. */
export interface ResponseEvent {
  readonly type?: string;
  readonly response?: ResponseObject;
  readonly output_index?: number;
  readonly content_index?: number;
  readonly item?: ShownItem;
  readonly part?: ShownPart;
  readonly delta?: string;
  readonly text?: string;
  readonly arguments?: string;
}

interface Message {
  readonly type: "message";
  status: string | undefined;
  readonly parts: { text: string }[];
}

interface Call {
  readonly type: "function_call";
  status: string | undefined;
  readonly name: string;
  arguments: string;
}

/**
 * What a client has been shown of a response. Its stream shows everything several times: in pieces, at the end of each part and item, and
 * as a whole at the end. All of it has to be the same; KaratError `receipt_mismatch` {output} where it is not, {status} where it is told to be
 * complete in one place and not in another, and {events} for an event that a stream of this network does not have.
 */
export class ShownResponse implements Shown<ResponseEvent, ResponseObject> {
  readonly #output: (Message | Call)[] = [];
  usage: ShownUsage | undefined;
  karat: unknown;
  failed = false;
  #end: { readonly status: string | undefined; readonly incomplete_details: unknown } | undefined;

  get ended(): boolean {
    return this.#end !== undefined;
  }

  get text(): string {
    return this.#output
      .flatMap((item) => (item.type === "message" ? item.parts : []))
      .map((part) => part.text)
      .join("");
  }

  get calls(): readonly ShownCall[] {
    return this.#output.flatMap((item) =>
      item.type === "function_call" ? [{ name: item.name, arguments: item.arguments }] : [],
    );
  }

  addWhole(response: ResponseObject): void {
    this.#output.push(...(response.output ?? []).map(itemOf));
    this.#finish(response);
  }

  requireEnd(reason: "stop" | "length"): void {
    const end = responseEnd(reason);
    same(this.#end, end, "status");
    // What is open when the answer is cut off is not complete; all before it is.
    const expected = this.#output.map((_, i) => (i === this.#output.length - 1 ? end.status : "completed"));
    same(
      this.#output.map(({ status }) => status),
      expected,
      "status",
    );
  }

  add(event: ResponseEvent, name: string | undefined): void {
    // Some readers go by the name, others by the type.
    same(name, event.type, "events");
    switch (event.type) {
      case "response.created":
      case "response.in_progress":
        same(event.response?.status, "in_progress", "status");
        this.#compare(event.response);
        break;
      case "response.output_item.added":
        same(event.output_index, this.#output.length);
        this.#output.push(itemOf(event.item));
        break;
      case "response.content_part.added": {
        const { parts } = this.#message(event);
        same(event.content_index, parts.length);
        parts.push(partOf(event.part));
        break;
      }
      case "response.output_text.delta":
        this.#part(event).text += event.delta ?? "";
        break;
      case "response.output_text.done":
        same(event.text, this.#part(event).text);
        break;
      case "response.content_part.done":
        same(partOf(event.part), this.#part(event));
        break;
      case "response.function_call_arguments.delta":
        this.#call(event).arguments += event.delta ?? "";
        break;
      case "response.function_call_arguments.done":
        same(event.arguments, this.#call(event).arguments);
        break;
      case "response.output_item.done":
        this.#item(event).status = event.item?.status;
        same(itemOf(event.item), this.#item(event));
        break;
      case "response.completed":
      case "response.incomplete":
        same(event.type, `response.${event.response?.status}`, "status");
        this.#compare(event.response);
        this.#finish(event.response);
        break;
      case "error":
        this.failed = true;
        break;
      default:
        throw mismatch("events");
    }
  }

  #compare(response: ResponseObject = {}): void {
    same((response.output ?? []).map(itemOf), this.#output);
  }

  #finish({ output_text: text = this.text, usage, karat, ...told }: ResponseObject = {}): void {
    same(text, this.text);
    same(told.error ?? null, null, "status");
    this.usage = usage ? { prompt_tokens: usage.input_tokens, completion_tokens: usage.output_tokens } : undefined;
    this.karat = karat;
    this.#end = { status: told.status, incomplete_details: told.incomplete_details ?? null };
  }

  #item({ output_index: index = -1 }: ResponseEvent): Message | Call {
    const item = this.#output[index];
    if (item === undefined) throw mismatch("output");
    return item;
  }

  #message(event: ResponseEvent): Message {
    const item = this.#item(event);
    if (item.type !== "message") throw mismatch("output");
    return item;
  }

  #call(event: ResponseEvent): Call {
    const item = this.#item(event);
    if (item.type !== "function_call") throw mismatch("output");
    return item;
  }

  #part(event: ResponseEvent): Message["parts"][number] {
    const part = this.#message(event).parts[event.content_index ?? -1];
    if (part === undefined) throw mismatch("output");
    return part;
  }
}

function itemOf(item: ShownItem = {}): Message | Call {
  const { status } = item;
  if (item.type === "message") return { type: "message", status, parts: (item.content ?? []).map(partOf) };
  if (item.type !== "function_call") throw mismatch("output");
  return { type: "function_call", status, name: item.name ?? "", arguments: item.arguments ?? "" };
}

function partOf(part: ShownPart = {}): Message["parts"][number] {
  if (part.type !== "output_text") throw mismatch("output");
  return { text: part.text ?? "" };
}

function same(shown: unknown, before: unknown, field = "output"): void {
  if (JSON.stringify(shown) !== JSON.stringify(before)) throw mismatch(field);
}
