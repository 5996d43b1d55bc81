import type { TextToken } from "@karat/common/openai";
import type { sign } from "@karat/proto";
import type { SanitizedRequest } from "@karat/rules";

/** Why a place in the draw was passed over; goes into the StartRecord. */
export interface SkippedAttempt {
  readonly attempt: number;
  readonly reason: string;
  /** The executor's signature over its `busy`, where there is one. */
  readonly busySignature?: Uint8Array;
}

/** What a transfer agent asks of an executor. */
export interface ExecuteRequest {
  readonly authorization: Uint8Array;
  readonly signature: Uint8Array;
  /** Canonical JSON of the sanitised request. */
  readonly request: string;
  /** Place in the draw, from 0. */
  readonly attempt: number;
  readonly skips: readonly SkippedAttempt[];
  /**
   * Ids of the tokens that the client has from an executor that broke off: this one is to go on behind them. What it gives is an
   * inference of its own, under `continuationId`.
   */
  readonly prefix?: readonly number[];
  /** With it: the transfer agent's signature over the id of the part, by which the executor can record its start. */
  readonly prefixSignature?: Uint8Array;
  /** With it: the encoded StartRecord of the order, under which the chain takes what goes on. Whoever goes on records it should nobody else. */
  readonly orderStart?: Uint8Array;
  /** False: nobody reads the answer before it is whole, and tokens may come several at a time. */
  readonly stream?: boolean;
  /** Set by the transfer agent of the same process: what it has signed and hashed itself is not opened and hashed again. */
  readonly opened?: OpenedRequest;
}

/** An authorization whose signature holds, and the request whose hash it names. */
export interface OpenedRequest {
  readonly authorization: sign.RequestAuthorization;
  /** SHA-256 of the authorization. */
  readonly orderId: Uint8Array;
  readonly sanitized: SanitizedRequest;
}

export interface ErrorObject {
  readonly code: string;
  readonly message: string;
}

/** A token as the ML node sends it. */
export type TokenLine = { readonly type: "token" } & TextToken;

export interface ReceiptLine {
  readonly type: "receipt";
  /** Encoded sign.v1.Receipt. */
  readonly receipt: Uint8Array;
  readonly signature: Uint8Array;
}

export interface EndLine {
  readonly type: "end";
  readonly finish_reason: MlFinishReason;
  readonly usage: { readonly prompt_tokens: number; readonly completion_tokens: number };
  readonly token_ids: readonly number[];
  readonly text: string;
  /** Hex. */
  readonly prompt_hash: string;
  /** base64. */
  readonly artifact: string;
  /** Encoded sign.v1.ResponseReceipt. */
  readonly response: Uint8Array;
  readonly response_signature: Uint8Array;
}

export type MlFinishReason = "stop" | "length" | "stop_sequence" | "cancelled";

/** What comes back: `receipt`, tokens, `end`; or `busy` in the place of the receipt or the first token; `error` may come at any point and is the last. */
export type ExecuteLine =
  | ReceiptLine
  | { readonly type: "busy"; readonly signature: Uint8Array }
  | TokenLine
  | EndLine
  | { readonly type: "error"; readonly error: ErrorObject };

const LAST_LINES: ReadonlySet<string> = new Set<ExecuteLine["type"]>(["end", "busy", "error"]);

/** Nothing comes behind it. */
export const isLastLine = (line: ExecuteLine | undefined): boolean => line !== undefined && LAST_LINES.has(line.type);

/**
 * An executor, in this process or behind a peer's URL. Gives as many lines at a time as have come. Never throws for what the executor or the network does wrong: that is an `error`
 * line (`unreachable` when nobody answers). Aborting the signal cancels the computation at the next token.
 */
export interface Executor {
  /** It is this process's own: its signatures are not checked here. */
  readonly own: boolean;
  execute(request: ExecuteRequest, signal: AbortSignal): AsyncIterable<readonly ExecuteLine[]>;
}
