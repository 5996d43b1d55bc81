/** Turns token bytes into text as it can be shown: whole characters only, and nothing after a stop sequence. */
import type { Vocabulary } from "../engine/engine.ts";

export class TextAssembler {
  readonly #stop: readonly string[];
  readonly #longest: number;
  // Bytes of a character that is not complete yet wait in the decoder; broken ones become U+FFFD.
  readonly #decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  #decoded = "";
  #emitted = 0;
  #cut: number | undefined;

  constructor(stop: readonly string[] = []) {
    this.#stop = stop;
    this.#longest = Math.max(0, ...stop.map((sequence) => sequence.length));
  }

  /** True once a stop sequence has appeared; what comes later is ignored. */
  get stopped(): boolean {
    return this.#cut !== undefined;
  }

  /** The text so far that is certain, including what `push` has returned. */
  get text(): string {
    return this.#decoded.slice(0, this.#emitted);
  }

  /** Adds bytes and returns the text that became certain: it can no longer be the beginning of a stop sequence. */
  push(bytes: Uint8Array): string {
    return this.#advance(this.#decoder.decode(bytes, { stream: true }), false);
  }

  /** Ends the text and returns what was held back. */
  finish(): string {
    return this.#advance(this.#decoder.decode(), true);
  }

  #advance(piece: string, last: boolean): string {
    if (this.#cut !== undefined) return "";
    const from = Math.max(0, this.#decoded.length - this.#longest);
    this.#decoded += piece;
    const matches = this.#stop.map((sequence) => this.#decoded.indexOf(sequence, from)).filter((at) => at >= 0);
    if (matches.length > 0) this.#cut = Math.min(...matches);
    const end = this.#cut ?? (last ? this.#decoded.length : this.#decoded.length - this.#possibleStop());
    const text = this.#decoded.slice(this.#emitted, end);
    this.#emitted = Math.max(this.#emitted, end);
    return text;
  }

  /** Length of the longest tail that some stop sequence begins with. */
  #possibleStop(): number {
    for (let length = Math.min(this.#longest - 1, this.#decoded.length); length > 0; length--) {
      const tail = this.#decoded.slice(-length);
      if (this.#stop.some((sequence) => sequence.startsWith(tail))) return length;
    }
    return 0;
  }
}

/**
 * The text of an answer from its ids: what every party hashes. `stoppedAt` is the index of the token that completed a stop
 * sequence, where one did.
 */
export function textOf(
  vocabulary: Vocabulary,
  ids: readonly number[],
  stop: readonly string[] = [],
): { text: string; stoppedAt?: number } {
  const assembler = new TextAssembler(stop);
  const stopTokens = new Set(vocabulary.stopTokenIds);
  for (const [index, id] of ids.entries()) {
    if (index === ids.length - 1 && stopTokens.has(id)) break;
    assembler.push(vocabulary.bytesOf(id));
    if (assembler.stopped) return { text: assembler.text, stoppedAt: index };
  }
  assembler.finish();
  return assembler.stopped ? { text: assembler.text, stoppedAt: ids.length - 1 } : { text: assembler.text };
}
