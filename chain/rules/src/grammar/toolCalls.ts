/**
 * How tool calls stand in the text of an answer: `<tool_call>`, a line with name and arguments, `</tool_call>`, one after another. This is the
 * form that Hermes and Qwen models are trained on; under a grammar every model keeps to it.
 */
import * as json from "./json.ts";
import { choice, type Node, repeat, scan, sequence, text } from "./node.ts";

export const TOOL_CALL = {
  open: "<tool_call>\n",
  name: '{"name": ',
  arguments: ', "arguments": ',
  close: "}\n</tool_call>",
};
const MOST_CALLS = 16;

export interface CallableTool {
  readonly name: string;
  /** The grammar of its arguments, an object. */
  readonly parameters: Node;
}

/** One or, in parallel, up to 16 calls of any of the tools, behind the opening marker. */
function callsBehindMarker(tools: readonly CallableTool[], parallel: boolean): Node {
  const call = sequence(
    text(TOOL_CALL.name),
    choice(
      ...tools.map(({ name, parameters }) =>
        sequence(json.literal(name), text(TOOL_CALL.arguments), parameters, text(TOOL_CALL.close)),
      ),
    ),
  );
  return parallel ? sequence(call, repeat(sequence(text(`\n${TOOL_CALL.open}`), call), 0, MOST_CALLS - 1)) : call;
}

/** An answer that is nothing but calls. */
export const callsOnly = (tools: readonly CallableTool[], parallel: boolean): Node =>
  sequence(text(TOOL_CALL.open), callsBehindMarker(tools, parallel));

/** Free text that may go over into calls. */
export const textOrCalls = (tools: readonly CallableTool[], parallel: boolean): Node =>
  sequence(scan(TOOL_CALL.open), callsBehindMarker(tools, parallel));

/** A piece of an answer: text, the beginning of a call, or more of the arguments of the call that has begun last. */
export type AnswerPiece =
  | { readonly type: "text"; readonly text: string }
  | { readonly type: "call"; readonly index: number; readonly name: string }
  | { readonly type: "arguments"; readonly index: number; readonly text: string };

/** Reads an answer as it comes. Text that could be the beginning of a call is held back until it is certain. */
export class AnswerReader {
  #buffer = "";
  #calls = 0;
  /** Where the reader is: in text, at the head of a call, within its arguments. */
  #place: "text" | "head" | "arguments" | "behind" = "text";
  /** Within arguments: nesting of brackets, and whether in a string, behind a backslash. */
  #depth = 0;
  #inString = false;
  #escaped = false;

  push(piece: string): AnswerPiece[] {
    this.#buffer += piece;
    const pieces: AnswerPiece[] = [];
    for (let before = -1; before !== this.#buffer.length; ) {
      before = this.#buffer.length;
      if (this.#place === "text") this.#readText(pieces);
      if (this.#place === "head") this.#readHead(pieces);
      if (this.#place === "arguments") this.#readArguments(pieces);
      if (this.#place === "behind") this.#readBehind();
    }
    return pieces;
  }

  /** What was held back, when nothing follows. */
  finish(): AnswerPiece[] {
    const rest = this.#buffer;
    this.#buffer = "";
    return this.#place === "text" && rest !== "" ? [{ type: "text", text: rest }] : [];
  }

  #readText(pieces: AnswerPiece[]): void {
    const at = this.#buffer.indexOf(TOOL_CALL.open);
    const end = at >= 0 ? at : this.#buffer.length - heldBack(this.#buffer, TOOL_CALL.open);
    if (end > 0) pieces.push({ type: "text", text: this.#buffer.slice(0, end) });
    this.#buffer = this.#buffer.slice(at >= 0 ? at + TOOL_CALL.open.length : end);
    if (at >= 0) this.#place = "head";
  }

  #readHead(pieces: AnswerPiece[]): void {
    const end = this.#buffer.indexOf(TOOL_CALL.arguments);
    if (end < 0) return;
    const name: unknown = parsed(this.#buffer.slice(TOOL_CALL.name.length, end));
    pieces.push({ type: "call", index: this.#calls++, name: String(name) });
    this.#buffer = this.#buffer.slice(end + TOOL_CALL.arguments.length);
    this.#place = "arguments";
  }

  #readArguments(pieces: AnswerPiece[]): void {
    let length = 0;
    for (const character of this.#buffer) {
      length += character.length;
      if (this.#isEnd(character)) {
        this.#place = "behind";
        break;
      }
    }
    if (length > 0) pieces.push({ type: "arguments", index: this.#calls - 1, text: this.#buffer.slice(0, length) });
    this.#buffer = this.#buffer.slice(length);
  }

  /** Counts brackets outside strings; the arguments are an object, so they end with the bracket that they began with. */
  #isEnd(character: string): boolean {
    if (this.#inString) {
      if (this.#escaped) this.#escaped = false;
      else if (character === "\\") this.#escaped = true;
      else if (character === '"') this.#inString = false;
      return false;
    }
    if (character === '"') this.#inString = true;
    else if (character === "{" || character === "[") this.#depth++;
    else if (character === "}" || character === "]") this.#depth--;
    return this.#depth === 0;
  }

  #readBehind(): void {
    const at = this.#buffer.indexOf(TOOL_CALL.open);
    if (at < 0) return;
    this.#buffer = this.#buffer.slice(at + TOOL_CALL.open.length);
    this.#place = "head";
  }
}

export interface ToolCallText {
  readonly name: string;
  readonly arguments: string;
}

/** A whole answer: its text (null where it is nothing but calls) and its calls. */
export function readAnswer(answer: string): { text: string | null; calls: ToolCallText[] } {
  const reader = new AnswerReader();
  let plain = "";
  const calls: { name: string; arguments: string }[] = [];
  for (const piece of [...reader.push(answer), ...reader.finish()]) {
    if (piece.type === "text") plain += piece.text;
    else if (piece.type === "call") calls.push({ name: piece.name, arguments: "" });
    else calls[piece.index]!.arguments += piece.text;
  }
  return { text: plain === "" && calls.length > 0 ? null : plain, calls };
}

/** The text that calls stand for: what `readAnswer` reads them from. */
export const writeCalls = (calls: readonly ToolCallText[]): string =>
  calls
    .map((call) => {
      const name = JSON.stringify(call.name);
      return `${TOOL_CALL.open}${TOOL_CALL.name}${name}${TOOL_CALL.arguments}${call.arguments}${TOOL_CALL.close}`;
    })
    .join("\n");

function heldBack(buffer: string, marker: string): number {
  for (let length = Math.min(marker.length - 1, buffer.length); length > 0; length--) {
    if (marker.startsWith(buffer.slice(-length))) return length;
  }
  return 0;
}

function parsed(value: string): unknown {
  try {
    return JSON.parse(value);
  } catch {
    return value;
  }
}
