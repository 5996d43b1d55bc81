import { KaratError } from "@karat/common";
import { Request, Response } from "cosmjs-types/tendermint/abci/types";
import type { Application } from "../abci.ts";
import type { SerialQueue } from "../serial.ts";

/** Decodes one request; throws `abci/bad-request` for bytes that are not one. */
export function decodeRequest(bytes: Uint8Array): Request {
  try {
    return Request.decode(bytes);
  } catch (error) {
    throw new KaratError("abci/bad-request", "a request cannot be decoded", { length: bytes.length }, error);
  }
}

export const encodeResponse = (response: Partial<Response>): Uint8Array =>
  Response.encode(response as Response).finish();

/**
 * Has the application answer one request. `info` and `query` are served at once; everything else goes through the queue, so that
 * the mempool's and the consensus connection's calls never overlap. Throws `abci/unknown-request`, and whatever the application throws.
 */
export async function dispatch(
  application: Application,
  queue: SerialQueue,
  request: Request,
): Promise<Partial<Response>> {
  // A connection has one request in flight, and connections are few: that bounds the queue.
  const inTurn = <T>(job: () => T | Promise<T>) => queue.run(job, { urgent: true });
  const r = request;
  if (r.echo) return { echo: { message: r.echo.message } };
  if (r.flush) return { flush: {} };
  if (r.info) return { info: await application.info(r.info) };
  if (r.query) return { query: await application.query(r.query) };
  if (r.checkTx) return { checkTx: await inTurn(() => application.checkTx(r.checkTx!)) };
  if (r.initChain) return { initChain: await inTurn(() => application.initChain(r.initChain!)) };
  if (r.prepareProposal) {
    return { prepareProposal: await inTurn(() => application.prepareProposal(r.prepareProposal!)) };
  }
  if (r.processProposal) {
    return { processProposal: await inTurn(() => application.processProposal(r.processProposal!)) };
  }
  if (r.extendVote) return { extendVote: await inTurn(() => application.extendVote(r.extendVote!)) };
  if (r.verifyVoteExtension) {
    return { verifyVoteExtension: await inTurn(() => application.verifyVoteExtension(r.verifyVoteExtension!)) };
  }
  if (r.finalizeBlock) return { finalizeBlock: await inTurn(() => application.finalizeBlock(r.finalizeBlock!)) };
  if (r.commit) return { commit: await inTurn(() => application.commit(r.commit!)) };
  if (r.listSnapshots) return { listSnapshots: await inTurn(() => application.listSnapshots(r.listSnapshots!)) };
  if (r.offerSnapshot) return { offerSnapshot: await inTurn(() => application.offerSnapshot(r.offerSnapshot!)) };
  if (r.loadSnapshotChunk) {
    return { loadSnapshotChunk: await inTurn(() => application.loadSnapshotChunk(r.loadSnapshotChunk!)) };
  }
  if (r.applySnapshotChunk) {
    return { applySnapshotChunk: await inTurn(() => application.applySnapshotChunk(r.applySnapshotChunk!)) };
  }
  throw new KaratError("abci/unknown-request", "a request is of no kind that ABCI 2.0 has");
}
