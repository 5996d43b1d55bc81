/** Which tokens a grammar leaves at each position of an answer. Executor and validator ask the same and get the same. */
import type { TokenLogit } from "../allowedSet.ts";
import { RuleError } from "../errors.ts";
import { Automaton, type State } from "./automaton.ts";
import type { Node } from "./node.ts";
import { costsOf } from "./spelling.ts";
import type { VocabularyIndex } from "./vocabulary.ts";

/** The tokens that may come next. */
export interface Allowed {
  readonly count: number;
  readonly ids: Int32Array;
  has(id: number): boolean;
}

interface Mask extends Allowed {
  /** For each of `ids`: fewest tokens to the end behind it, the stop token included; 0 where it need not end or has ended. */
  readonly toEnd: Int32Array;
  readonly mostToEnd: number;
}

/** Bytes of masks that are remembered for one grammar. */
const MAX_MASK_BYTES = 32 * 1024 * 1024;

/** A grammar over the tokens of one vocabulary; remembers what it has worked out, for any number of answers. */
export class TokenGrammar {
  readonly start: State;
  readonly #vocabulary: VocabularyIndex;
  readonly #automaton: Automaton;
  #masks = new Map<State, Mask>();
  #maskBytes = 0;

  /** Throws `invalid_request` with `param` when no text of these tokens satisfies the grammar. */
  constructor(root: Node, vocabulary: VocabularyIndex, param: string) {
    this.#vocabulary = vocabulary;
    this.#automaton = new Automaton(root, costsOf(root, vocabulary));
    this.start = this.#automaton.start;
    if (this.start.cost === Number.POSITIVE_INFINITY) {
      throw new RuleError("invalid_request", param, `${param}: no finite text satisfies it`);
    }
  }

  /** The state behind a token; undefined where the grammar has no such text. */
  step(state: State, id: number): State | undefined {
    let at: State | undefined = state;
    for (const byte of this.#vocabulary.bytesOf(id)) at = at && this.#automaton.step(at, byte);
    return at;
  }

  mask(state: State): Mask {
    const known = this.#masks.get(state);
    if (known) return known;
    const mask = this.#walk(state);
    const bytes = mask.ids.byteLength + mask.toEnd.byteLength + this.#vocabulary.size;
    if (this.#maskBytes + bytes > MAX_MASK_BYTES) {
      this.#masks = new Map();
      this.#maskBytes = 0;
    }
    this.#masks.set(state, mask);
    this.#maskBytes += bytes;
    return mask;
  }

  #walk(state: State): Mask {
    const { sorted, shared, stopTokenIds, silentIds, size } = this.#vocabulary;
    const found: [id: number, toEnd: number][] = [];
    if (state.accepts) for (const id of stopTokenIds) found.push([id, 0]);
    if (state.free) for (const id of silentIds) found.push([id, 0]);
    // states[d]: behind d bytes of the token looked at; those of the beginning it shares with the last one stand.
    const states: (State | undefined)[] = [state];
    let standing = 0;
    for (const [i, { id, bytes }] of sorted.entries()) {
      standing = Math.min(standing, shared[i]!);
      for (let at = states[standing]; standing < bytes.length && at; standing++) {
        at = this.#automaton.step(at, bytes[standing]!);
        states[standing + 1] = at;
      }
      const behind = standing === bytes.length ? states[standing] : undefined;
      if (behind) found.push([id, behind.free ? 0 : behind.cost + 1]);
    }
    found.sort((a, b) => a[0] - b[0]);
    const toEnd = Int32Array.from(found, ([, cost]) => cost);
    const mostToEnd = toEnd.reduce((most, cost) => Math.max(most, cost), 0);
    return {
      ...allowedOf(
        found.map(([id]) => id),
        size,
      ),
      toEnd,
      mostToEnd,
    };
  }

  /** Of a mask, the tokens behind which the text can end within `left` more tokens. */
  within(mask: Mask, left: number): Allowed {
    if (mask.mostToEnd <= left) return mask;
    const ids: number[] = [];
    for (const [i, id] of mask.ids.entries()) if (mask.toEnd[i]! <= left) ids.push(id);
    return allowedOf(ids, this.#vocabulary.size);
  }
}

function allowedOf(ids: readonly number[], size: number): Allowed {
  const bits = new Uint8Array(size);
  for (const id of ids) bits[id] = 1;
  return { count: ids.length, ids: Int32Array.from(ids), has: (id) => bits[id] === 1 };
}

/** One answer under a grammar and a bias, token by token. */
export class ConstrainedAnswer {
  readonly #grammar: TokenGrammar | undefined;
  readonly #bias: ReadonlyMap<number, number>;
  readonly #stops: ReadonlySet<number>;
  readonly #size: number;
  #state: State | undefined;
  #left: number;

  /** `maxTokens`: of the whole answer; the grammar is brought to its end within them where that is possible at all. */
  constructor(
    grammar: TokenGrammar | undefined,
    bias: ReadonlyMap<number, number>,
    vocabulary: VocabularyIndex,
    maxTokens: number,
  ) {
    this.#grammar = grammar;
    this.#bias = bias;
    this.#stops = new Set(vocabulary.stopTokenIds);
    this.#size = vocabulary.size;
    this.#state = grammar?.start;
    this.#left = maxTokens;
  }

  get biasedIds(): readonly number[] {
    return [...this.#bias.keys()];
  }

  /** The tokens that may come next; undefined where all may. Empty behind a token that was not allowed. */
  next(): Allowed | undefined {
    if (!this.#grammar) return undefined;
    if (!this.#state) return NOTHING;
    const mask = this.#grammar.mask(this.#state);
    // A maximum that is too small from the beginning cuts the answer off, as it does without a grammar.
    const canEnd = this.#state.free || this.#state.cost + 1 <= this.#left;
    return canEnd ? this.#grammar.within(mask, this.#left - 1) : mask;
  }

  accept(id: number): void {
    this.#left--;
    if (this.#state && !this.#stops.has(id)) this.#state = this.#grammar?.step(this.#state, id);
  }

  /** What the sampler chooses from: the allowed ones of the given logits, biased. */
  candidates(allowed: Allowed | undefined, logits: readonly TokenLogit[]): readonly TokenLogit[] {
    const left = allowed ? logits.filter(([id]) => allowed.has(id)) : logits;
    if (this.#bias.size === 0) return left;
    return left.map(([id, logit]) => [id, logit + (this.#bias.get(id) ?? 0)] as const);
  }

  /**
   * Which raw logits hold the `most` highest candidates for certain: those of `ids`, and the `top` highest of all. `top` is never less
   * than `most`.
   */
  needed(allowed: Allowed | undefined, most: number): { top: number; ids: readonly number[] } {
    const size = this.#size;
    const lowered = [...this.#bias.values()].filter((bias) => bias < 0).length;
    const top = Math.min(size, most + lowered);
    const biased = this.biasedIds;
    if (!allowed) return { top, ids: biased };
    const forbidden = size - allowed.count;
    return allowed.count <= forbidden + top
      ? { top: most, ids: [...allowed.ids] }
      : { top: Math.min(size, top + forbidden), ids: biased };
  }
}

const NOTHING: Allowed = { count: 0, ids: new Int32Array(), has: () => false };
