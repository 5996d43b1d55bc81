/**
 * Regular expressions as JSON Schema writes them (ECMAScript with the flag u), as far as they are regular: characters, classes, groups,
 * alternatives, counts, ^ and $. What needs memory or looks around is refused.
 */
import { type Characters, charactersOf, complementOf, DIGIT, LINE_END, SPACE, WORD } from "./characters.ts";

export type Expression =
  | { readonly kind: "characters"; readonly characters: Characters }
  | { readonly kind: "sequence" | "choice"; readonly of: readonly Expression[] }
  | { readonly kind: "repeat"; readonly of: Expression; readonly least: number; readonly most: number }
  /** The beginning and the end of the whole string. */
  | { readonly kind: "start" | "end" };

/** What an expression cannot be, told to whoever wrote it. */
export class ExpressionError extends Error {
  override readonly name = "ExpressionError";
}

export const EXPRESSION_LIMITS = { length: 1_024, depth: 32, count: 1_000 } as const;

/** Throws ExpressionError for what is malformed, not regular, or too long. */
export function expressionOf(pattern: string): Expression {
  if (pattern.length > EXPRESSION_LIMITS.length) throw new ExpressionError(`longer than ${EXPRESSION_LIMITS.length}`);
  return new Parser(pattern).whole();
}

const CLASSES: Readonly<Record<string, Characters>> = {
  d: DIGIT,
  D: complementOf(DIGIT),
  w: WORD,
  W: complementOf(WORD),
  s: SPACE,
  S: complementOf(SPACE),
};
const CONTROLS: Readonly<Record<string, string>> = { t: "\t", n: "\n", v: "\v", f: "\f", r: "\r", 0: "\0" };
const DOT = complementOf(LINE_END);

class Parser {
  /** Code points. */
  readonly #pattern: readonly string[];
  #at = 0;

  constructor(pattern: string) {
    this.#pattern = [...pattern];
  }

  whole(): Expression {
    const expression = this.#alternatives(0);
    if (this.#at < this.#pattern.length) throw this.#error("this bracket closes nothing");
    return expression;
  }

  #alternatives(depth: number): Expression {
    if (depth > EXPRESSION_LIMITS.depth) throw this.#error("groups are nested too deeply");
    const alternatives: Expression[] = [];
    do {
      const parts: Expression[] = [];
      while (this.#at < this.#pattern.length && this.#peek() !== "|" && this.#peek() !== ")")
        parts.push(this.#term(depth));
      alternatives.push(parts.length === 1 ? parts[0]! : { kind: "sequence", of: parts });
    } while (this.#take("|"));
    return alternatives.length === 1 ? alternatives[0]! : { kind: "choice", of: alternatives };
  }

  #term(depth: number): Expression {
    if (this.#take("^")) return { kind: "start" };
    if (this.#take("$")) return { kind: "end" };
    return this.#counted(this.#atom(depth));
  }

  #atom(depth: number): Expression {
    if (this.#take("(")) {
      if (this.#take("?") && !this.#take(":") && !this.#groupName()) throw this.#error("looking around is not regular");
      const expression = this.#alternatives(depth + 1);
      if (!this.#take(")")) throw this.#error("a group is not closed");
      return expression;
    }
    if (this.#take(".")) return { kind: "characters", characters: DOT };
    if (this.#take("[")) return { kind: "characters", characters: this.#class() };
    if (this.#take("\\")) return { kind: "characters", characters: setOf(this.#escape()) };
    if ("*+?{}])".includes(this.#peek())) throw this.#error("must be escaped here");
    return { kind: "characters", characters: setOf(this.#next()) };
  }

  #counted(of: Expression): Expression {
    const [least, most] = this.#count() ?? [1, 1];
    if (least === 1 && most === 1) return of;
    this.#take("?"); // Which match is found first does not matter: any will do.
    return { kind: "repeat", of, least, most };
  }

  #count(): readonly [number, number] | undefined {
    if (this.#take("*")) return [0, Number.POSITIVE_INFINITY];
    if (this.#take("+")) return [1, Number.POSITIVE_INFINITY];
    if (this.#take("?")) return [0, 1];
    if (!this.#take("{")) return undefined;
    const least = this.#number();
    const most = !this.#take(",") ? least : this.#peek() === "}" ? Number.POSITIVE_INFINITY : this.#number();
    if (!this.#take("}") || most < least) throw this.#error("not a count");
    return [least, most];
  }

  #number(): number {
    let digits = "";
    while (/^\d$/.test(this.#peek())) digits += this.#next();
    const value = Number(digits);
    if (digits === "" || value > EXPRESSION_LIMITS.count)
      throw this.#error(`a number up to ${EXPRESSION_LIMITS.count}`);
    return value;
  }

  /** Behind `(?`: whether a name follows, which nothing can refer to. */
  #groupName(): boolean {
    if (!this.#take("<")) return false;
    if (!/^[\p{L}_$]$/u.test(this.#peek())) return false;
    while (!this.#take(">")) this.#next();
    return true;
  }

  #class(): Characters {
    const negated = this.#take("^");
    const ranges: (readonly [number, number])[] = [];
    while (!this.#take("]")) {
      const first = this.#classAtom();
      if (typeof first !== "string" || this.#peek() !== "-" || this.#pattern[this.#at + 1] === "]") {
        ranges.push(...setOf(first));
        continue;
      }
      this.#next();
      const last = this.#classAtom();
      const [from, to] = [first.codePointAt(0)!, typeof last === "string" ? last.codePointAt(0)! : -1];
      if (to < from) throw this.#error("not a range of characters");
      ranges.push([from, to]);
    }
    const characters = charactersOf(...ranges);
    return negated ? complementOf(characters) : characters;
  }

  #classAtom(): string | Characters {
    return !this.#take("\\") ? this.#next() : this.#take("b") ? "\b" : this.#escape();
  }

  /** Behind a backslash: one character, or a class of them. */
  #escape(): string | Characters {
    const letter = this.#next();
    if (Object.hasOwn(CLASSES, letter)) return CLASSES[letter]!;
    if (letter === "0" && /^\d$/.test(this.#peek())) throw this.#error("octal escapes are not allowed");
    if (Object.hasOwn(CONTROLS, letter)) return CONTROLS[letter]!;
    if (letter === "c" && /^[a-zA-Z]$/.test(this.#peek())) return String.fromCharCode(this.#next().charCodeAt(0) % 32);
    if (letter === "x") return String.fromCharCode(this.#hex(2));
    if (letter === "u") return this.#unicode();
    if (/^[1-9k]$/.test(letter)) throw this.#error("references to groups are not regular");
    if (/^[a-zA-Z]$/.test(letter)) throw this.#error(`\\${letter} cannot be enforced`);
    return letter;
  }

  #unicode(): string {
    if (this.#take("{")) {
      let digits = "";
      while (!this.#take("}")) digits += this.#next();
      const code = /^[0-9a-fA-F]{1,8}$/.test(digits) ? Number.parseInt(digits, 16) : Number.POSITIVE_INFINITY;
      if (code > 0x10ffff) throw this.#error("not a character");
      return String.fromCodePoint(code);
    }
    const unit = this.#hex(4);
    const pair = unit >= 0xd800 && unit < 0xdc00 && this.#peek() === "\\" && this.#pattern[this.#at + 1] === "u";
    if (!pair) return String.fromCharCode(unit);
    this.#at += 2;
    return String.fromCharCode(unit, this.#hex(4));
  }

  #hex(count: number): number {
    let digits = "";
    while (digits.length < count) digits += this.#next();
    if (!/^[0-9a-fA-F]+$/.test(digits)) throw this.#error("hexadecimal digits are missing");
    return Number.parseInt(digits, 16);
  }

  /** The character ahead; empty at the end. */
  #peek(): string {
    return this.#pattern[this.#at] ?? "";
  }

  #next(): string {
    const character = this.#pattern[this.#at++];
    if (character === undefined) throw this.#error("ends too early");
    return character;
  }

  #take(character: string): boolean {
    if (this.#peek() !== character) return false;
    this.#at++;
    return true;
  }

  #error(problem: string): ExpressionError {
    return new ExpressionError(`at ${this.#at}: ${problem}`);
  }
}

/** A half of a surrogate pair, which no JSON text here has, is a set without characters. */
function setOf(atom: string | Characters): Characters {
  if (typeof atom !== "string") return atom;
  const [code, ...more] = [...atom].map((character) => character.codePointAt(0)!);
  return more.length > 0 ? [] : charactersOf([code!, code!]);
}
