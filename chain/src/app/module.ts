/**
 * What a module is to the application, and what the application is to a module.
 *
 * A module owns one store (named after it), its messages, its queries, and what it does at the ends of blocks and
 * epochs. It reaches other modules only through the narrow interfaces in its own `expects.ts`, handed to its
 * constructor. Everything here is deterministic: no clock, no randomness, no I/O.
 */
import type { ValueWriter } from "../store/types.ts";
import type { SignatureCheck } from "./signatures/verified.ts";

export interface EventAttribute {
  readonly key: string;
  readonly value: string;
  /** Every attribute is indexed: whoever follows the chain looks for values. */
  readonly index: true;
}

/** As it goes to consensus. */
export interface ChainEvent {
  readonly type: string;
  readonly attributes: EventAttribute[];
}

export function chainEvent(type: string, attributes: Readonly<Record<string, string>>): ChainEvent {
  const event: ChainEvent = { type, attributes: [] };
  for (const key in attributes) event.attributes.push({ key, value: attributes[key]!, index: true });
  return event;
}

export interface GasMeter {
  readonly limit: bigint;
  readonly used: bigint;
  /** Throws ChainError `out_of_gas` when the limit is passed. */
  consume(amount: bigint, what: string): void;
}

/** What a handler, a query or an end-of-block step may touch. One per transaction message, query or block phase. */
export interface Context {
  readonly chainId: string;
  /** Height of the block being executed; in a query, of the last committed block. */
  readonly height: bigint;
  /** Block time. */
  readonly time: { readonly seconds: bigint; readonly nanos: number };
  /** Hash of the block being executed; empty in a query. */
  readonly blockHash: Uint8Array;
  readonly gas: GasMeter;
  /** The store of one module. Writes are dropped together when the message or transaction fails. */
  store(module: string): ValueWriter;
  emit(type: string, attributes: Readonly<Record<string, string>>): void;
}

/** Decoded message of one type; `signers` are bech32 addresses that must have signed the transaction. */
export interface MessageHandler<T = unknown> {
  readonly codec: { decode(bytes: Uint8Array): T; encode(message: T): { finish(): Uint8Array } };
  /** Canonical encoder of the response, for TxMsgData. */
  readonly response: { readonly typeUrl: string; encode(message: object): { finish(): Uint8Array } };
  signers(message: T): readonly string[];
  /** Phase 1: what can be said without state. Throws ChainError. */
  checkStateless(message: T): void;
  /**
   * The signatures that `execute` will most likely ask `verifyOnce` about, from what is on chain now: they are verified
   * ahead, in other threads. A guess, and only for speed: what is missing or wrong here changes no result. Reads only.
   */
  signatures?(ctx: Context, message: T): Iterable<SignatureCheck>;
  /** Phases 2 and 3: checks against state, then writes. Returns the response message. Throws ChainError. */
  execute(ctx: Context, message: T): object;
}

/** A gRPC-named query, e.g. `/karat.inference.v1.Query/Inference`: request bytes in, response bytes out. Throws ChainError. */
export type QueryHandler = (ctx: Context, request: Uint8Array) => Uint8Array;

export interface ValidatorUpdate {
  /** ed25519. */
  readonly publicKey: Uint8Array;
  readonly power: bigint;
}

/** What consensus tells with a block about those who make blocks. Addresses are the first 20 bytes of a key's SHA-256. */
export interface ConsensusFacts {
  /** The validators that were to sign the last block. */
  readonly votes: readonly { readonly address: Uint8Array; readonly power: bigint; readonly signed: boolean }[];
  /** Proven two votes for one height, or an attack on light clients; CometBFT has checked the evidence and its age. */
  readonly misbehavior: readonly { readonly address: Uint8Array; readonly height: bigint }[];
}

export interface Module {
  readonly name: string;
  readonly messages?: Readonly<Record<string, MessageHandler>>;
  readonly queries?: Readonly<Record<string, QueryHandler>>;
  /** From this module's part of app_state (JSON). Throws ChainError `invalid_genesis`. */
  initGenesis?(ctx: Context, state: unknown): void;
  exportGenesis?(ctx: Context): unknown;
  beginBlock?(ctx: Context, facts: ConsensusFacts): void;
  /** Bounded work per block; whatever is left over goes on in the next. Expected failures are handled, never thrown. */
  endBlock?(ctx: Context): readonly ValidatorUpdate[] | undefined;
  /** Names of broken invariants with what was found; empty when all hold. */
  invariants?(ctx: Context): readonly string[];
}
