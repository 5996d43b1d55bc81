/** An answer that consists of text and calls of functions, piece by piece. */

export type AnswerPiece =
  | { readonly type: "text"; readonly text: string }
  /** A call begins. */
  | { readonly type: "call"; readonly index: number; readonly name: string }
  /** More of the arguments (JSON text) of the call that has begun last. */
  | { readonly type: "arguments"; readonly index: number; readonly text: string };

/** Takes an answer apart as its text comes. `finish` gives what was held back. */
export interface PieceReader {
  push(text: string): readonly AnswerPiece[];
  finish(): readonly AnswerPiece[];
}

/** A call of a whole answer; `arguments` is JSON text. */
export interface AnswerCall {
  readonly name: string;
  readonly arguments: string;
}

/** Ids of calls: unlike for unlike answers, the same in every chunk. */
export const callId = (answerId: string, index: number): string =>
  `call_${answerId.replace(/^[a-z]+[-_]/, "")}_${index}`;
