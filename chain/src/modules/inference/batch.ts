/** Records ride in batches: one that is refused leaves no trace and does not touch its neighbours. */
import type { participant } from "@karat/proto";
import { ChainError, type ErrorKind, isChainError, SDK } from "../../app/errors.ts";
import type { Context, MessageHandler } from "../../app/module.ts";
import type { SignatureCheck } from "../../app/signatures/verified.ts";
import { isolated } from "../support/isolated.ts";
import { defineMessage, requireAddress } from "../support/message.ts";

export const MAX_RECORDS = 256;

export interface Result {
  inferenceId: Uint8Array;
  /** 0: recorded, now or before with the same content. */
  code: number;
  log: string;
}

export interface Batch<M extends { sender: string }, R> {
  readonly codec: MessageHandler<M>["codec"];
  readonly response: {
    readonly typeUrl: string;
    readonly codec: { encode(message: { results: Result[] }): { finish(): Uint8Array } };
  };
  readonly errors: { readonly batchSize: ErrorKind; readonly unknownSender: ErrorKind };
  /** The participant whose key the sender is. */
  readonly senderOf: (ctx: Context, address: string) => participant.Participant | undefined;
  readonly recordsOf: (message: M) => readonly R[];
  readonly idOf: (record: R) => Uint8Array;
  /** As in MessageHandler, of one record. */
  readonly signatures?: (ctx: Context, record: R) => Iterable<SignatureCheck>;
  /** Called once for a batch; gives what runs each record, as `runRecords` takes it. */
  readonly run: (ctx: Context, sender: participant.Participant) => (ctx: Context, record: R) => string;
}

/** The handler of a message that carries records from one key of a participant. */
export function defineBatch<M extends { sender: string }, R>(batch: Batch<M, R>): MessageHandler {
  const { codec, response, errors, senderOf, recordsOf, idOf, signatures, run } = batch;
  return defineMessage<M>({
    codec,
    response: {
      typeUrl: response.typeUrl,
      encode: (message) => response.codec.encode(message as { results: Result[] }),
    },
    signers: (message) => [message.sender],
    checkStateless(message) {
      requireAddress(message.sender, "sender");
      checkBatch(recordsOf(message), errors.batchSize);
    },
    ...(signatures && {
      *signatures(ctx: Context, message: M) {
        for (const record of recordsOf(message)) yield* signatures(ctx, record);
      },
    }),
    execute(ctx, message): { results: Result[] } {
      const sender = senderOf(ctx, message.sender);
      if (sender === undefined) throw new ChainError(errors.unknownSender, message.sender);
      return { results: runRecords(ctx, recordsOf(message), idOf, run(ctx, sender)) };
    },
  });
}

/** Throws an error of the given kind unless a batch holds 1 to MAX_RECORDS records. */
function checkBatch(records: readonly unknown[], kind: ErrorKind): void {
  if (records.length === 0 || records.length > MAX_RECORDS) {
    throw new ChainError(kind, `a batch holds 1 to ${MAX_RECORDS} records, not ${records.length}`);
  }
}

/**
 * Runs each record on its own; a ChainError becomes the record's result. Out of gas is the transaction's fault, not
 * the record's, and goes on, as does anything unexpected.
 *
 * @param run writes through the context it is given and returns a remark for the result.
 */
export function runRecords<T>(
  ctx: Context,
  records: readonly T[],
  idOf: (record: T) => Uint8Array,
  run: (ctx: Context, record: T) => string,
): Result[] {
  return records.map((record) => {
    const inferenceId = idOf(record);
    try {
      return { inferenceId, code: 0, log: isolated(ctx, (inner) => run(inner, record)) };
    } catch (error) {
      if (!isRefusal(error)) throw error;
      return { inferenceId, code: error.code, log: error.message };
    }
  });
}

/** A ChainError that tells about the record itself. */
export function isRefusal(error: unknown): error is ChainError {
  return error instanceof ChainError && !isChainError(error, SDK.outOfGas);
}
