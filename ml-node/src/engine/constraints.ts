/** The constraints of requests over one model's vocabulary. Generation and scoring ask it alike, on either side of the process boundary. */
import {
  biasOf,
  ConstrainedAnswer,
  type Constraint,
  canonicalJson,
  constraintNode,
  TokenGrammar,
  type TokenTable,
  VocabularyIndex,
} from "@karat/rules";

/** Grammars that are kept, with what they have worked out. */
const MAX_GRAMMARS = 8;

export class Constraints {
  readonly #vocabulary: VocabularyIndex;
  readonly #grammars = new Map<string, TokenGrammar | undefined>();

  constructor(table: TokenTable) {
    this.#vocabulary = new VocabularyIndex(table);
  }

  /** Throws RuleError `invalid_request` for a constraint that no answer of this vocabulary satisfies. */
  answer(constraint: Constraint, maxTokens: number): ConstrainedAnswer {
    const bias = new Map([...biasOf(constraint)].filter(([id]) => id < this.#vocabulary.size));
    return new ConstrainedAnswer(this.#grammar(constraint), bias, this.#vocabulary, maxTokens);
  }

  #grammar(constraint: Constraint): TokenGrammar | undefined {
    const key = canonicalJson({ ...constraint, logit_bias: undefined });
    const known = this.#grammars.has(key);
    const grammar = known ? this.#grammars.get(key) : this.#compile(constraint);
    // The one asked for last comes last; the first is the one to forget.
    this.#grammars.delete(key);
    this.#grammars.set(key, grammar);
    const [oldest] = this.#grammars.keys();
    if (this.#grammars.size > MAX_GRAMMARS && oldest !== undefined) this.#grammars.delete(oldest);
    return grammar;
  }

  #compile(constraint: Constraint): TokenGrammar | undefined {
    const node = constraintNode(constraint);
    const param = constraint.response_format ? "response_format" : "tools";
    return node && new TokenGrammar(node, this.#vocabulary, param);
  }
}

const byVocabulary = new WeakMap<TokenTable, Constraints>();

/** One for each vocabulary, made when it is first needed. */
export function constraintsOf(vocabulary: TokenTable): Constraints {
  const known = byVocabulary.get(vocabulary) ?? new Constraints(vocabulary);
  byVocabulary.set(vocabulary, known);
  return known;
}
