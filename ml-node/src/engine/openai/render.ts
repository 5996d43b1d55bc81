/**
 * Token ids of a chat. The template is rendered with marks in place of what people wrote, and control tokens are looked for in the template's
 * own text alone: nobody can type one.
 */
import { Template } from "@huggingface/jinja";
import { KaratError } from "@karat/common";
import type { ChatMessage, Vocabulary } from "../engine.ts";
import type { ModelFiles } from "./modelFiles.ts";

/** A token id, or a text that is to be tokenised as plain text. */
type Piece = number | string;

export class ChatRenderer {
  readonly #template: Template;
  readonly #files: ModelFiles;
  readonly #controls: ReadonlyMap<string, number>;
  readonly #anyControl: RegExp | undefined;

  constructor(files: ModelFiles) {
    this.#template = new Template(files.chatTemplate);
    this.#files = files;
    this.#controls = controlTokens(files.vocabulary);
    const names = [...this.#controls.keys()].sort((a, b) => b.length - a.length).map(escaped);
    this.#anyControl = names.length === 0 ? undefined : new RegExp(`(${names.join("|")})`);
  }

  /** Throws `invalid_prompt` {reason} when the template cannot render these messages. */
  async render(messages: readonly ChatMessage[], tokenize: (text: string) => Promise<number[]>): Promise<number[]> {
    const pieces = this.#pieces(messages);
    const ids: number[] = [];
    for (const piece of pieces) {
      if (typeof piece === "number") ids.push(piece);
      else for (const part of this.plain(piece)) ids.push(...(await tokenize(part)));
    }
    return ids;
  }

  /** Parts of a text whose concatenation is the text, none of which names a control token. */
  plain(text: string): string[] {
    const parts: string[] = [];
    let rest = text;
    for (let found = this.#anyControl?.exec(rest); found; found = this.#anyControl?.exec(rest)) {
      const cut = found.index + 1; // behind the first character of the name
      parts.push(rest.slice(0, cut));
      rest = rest.slice(cut);
    }
    if (rest !== "") parts.push(rest);
    return parts;
  }

  #pieces(messages: readonly ChatMessage[]): Piece[] {
    // Private-use characters, with a number: no template writes them.
    const mark = (i: number): string => `\uE000${i}\uE001`;
    const continued = messages.at(-1)?.role === "assistant";
    let text: string;
    try {
      text = this.#template.render({
        messages: messages.map(({ role }, i) => ({ role: role === "developer" ? "system" : role, content: mark(i) })),
        bos_token: this.#files.bosToken,
        eos_token: this.#files.eosToken,
        add_generation_prompt: !continued,
      });
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw new KaratError("invalid_prompt", "the model's chat template refuses the messages", { reason }, cause);
    }
    const pieces: Piece[] = [];
    const add = (written: string): void => {
      const last = pieces.at(-1);
      if (written === "") return;
      if (typeof last === "string") pieces[pieces.length - 1] = last + written;
      else pieces.push(written);
    };
    for (const part of text.split(/(\uE000\d+\uE001)/)) {
      const index = /^\uE000(\d+)\uE001$/.exec(part)?.[1];
      if (index !== undefined) add(messages[Number(index)]!.content);
      else {
        for (const bit of this.#anyControl ? part.split(this.#anyControl) : [part]) {
          const control = this.#controls.get(bit);
          if (control === undefined) add(bit);
          else pieces.push(control);
        }
      }
    }
    return pieces;
  }
}

function controlTokens(vocabulary: Vocabulary): Map<string, number> {
  const controls = new Map<string, number>();
  for (let id = 0; id < vocabulary.size; id++) {
    if (vocabulary.bytesOf(id).length > 0) continue;
    const name = vocabulary.nameOf(id);
    if (name !== "" && !controls.has(name)) controls.set(name, id);
  }
  return controls;
}

const escaped = (text: string): string => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
