import { decodeTxRaw, type EncodeObject, type Registry } from "@cosmjs/proto-signing";
import { fromTendermintEvent } from "@cosmjs/stargate";
import { Comet38Client } from "@cosmjs/tendermint-rpc";
import { KaratError, messageOf, sha256, toHex } from "@karat/common";
import { createKaratRegistry } from "@karat/proto";
import { type InferenceProof, inferenceKey } from "./proofs/index.ts";
import { ChainQueries } from "./queries.ts";
import { RpcConnection } from "./rpcConnection.ts";

export interface ChainEvent {
  readonly type: string;
  readonly attributes: readonly { readonly key: string; readonly value: string }[];
}

export interface FollowedTx {
  /** 0 when it succeeded. */
  readonly code: number;
  readonly events: readonly ChainEvent[];
}

/** What came of a block. */
export interface FollowedBlock {
  readonly height: bigint;
  readonly txs: readonly FollowedTx[];
  /** Of the block itself, beside its transactions'. */
  readonly events: readonly ChainEvent[];
}

export interface TxResult {
  readonly hash: string;
  readonly height: bigint;
  readonly code: number;
  readonly codespace: string;
  readonly log: string;
  /** Encoded TxMsgData. */
  readonly data: Uint8Array;
  readonly bytes: Uint8Array;
  readonly events: readonly ChainEvent[];
}

/**
 * A node's RPC with Karat's types. Every call ends within the timeout: it throws KaratError `chain_unavailable`
 * when nobody answers, so that callers can wait and try again.
 */
export class ChainClient {
  readonly chainId: string;
  readonly query: ChainQueries;
  readonly #comet: Comet38Client;
  readonly #registry: Registry = createKaratRegistry();

  private constructor(comet: Comet38Client, chainId: string) {
    this.#comet = comet;
    this.chainId = chainId;
    this.query = new ChainQueries((path, data) => this.abciQuery(path, data));
  }

  static async connect(rpcUrl: string, options: { readonly timeoutMs?: number } = {}): Promise<ChainClient> {
    const comet = Comet38Client.create(new RpcConnection(rpcUrl, options.timeoutMs ?? 5_000));
    const status = await reach(() => comet.status());
    return new ChainClient(comet, status.nodeInfo.network);
  }

  async status(): Promise<{ readonly height: bigint; readonly timeMs: number }> {
    const { syncInfo } = await reach(() => this.#comet.status());
    return { height: BigInt(syncInfo.latestBlockHeight), timeMs: syncInfo.latestBlockTime.getTime() };
  }

  /** A query by its gRPC name. Throws KaratError `query_failed` with code, codespace and log when the application refuses. */
  async abciQuery(path: string, data: Uint8Array): Promise<Uint8Array> {
    const answer = await reach(() => this.#comet.abciQuery({ path, data, prove: false }));
    if (answer.code !== 0) {
      const { code, codespace, log } = answer;
      throw new KaratError("query_failed", `The chain refused ${path}: ${log}`, { code, codespace, log });
    }
    return answer.value;
  }

  /**
   * The record of an inference with its proof, in the newest state whose app hash a header has; not verified here. Undefined where that
   * state has none: it is a block older than what a query shows.
   */
  async proveInference(id: Uint8Array): Promise<InferenceProof | undefined> {
    const { storeName, key } = inferenceKey(id);
    const height = Number((await this.status()).height) - 1;
    const query = { path: `/store/${storeName}/key`, data: key, prove: true, height };
    const { code, value, proof } = await reach(() => this.#comet.abciQuery(query));
    if (code !== 0 || value.length === 0 || !proof) return undefined;
    return { height: BigInt(height), storeName, key, value, proofOps: proof.ops };
  }

  /** The app hash of the state that block `height` left: it stands in the header of the next. */
  async appHash(height: bigint): Promise<Uint8Array> {
    const { header } = await reach(() => this.#comet.commit(Number(height) + 1));
    return header.appHash;
  }

  /** What came of a committed block: its events and those of its transactions, whose bytes nobody needs who follows. */
  async block(height: bigint): Promise<FollowedBlock> {
    const { results, finalizeBlockEvents } = await reach(() => this.#comet.blockResults(Number(height)));
    return {
      height,
      txs: results.map(({ code, events }) => ({ code, events: events.map(fromTendermintEvent) })),
      events: finalizeBlockEvents.map(fromTendermintEvent),
    };
  }

  /** Hands a transaction to the node's mempool; code ≠ 0 means that it was refused there. */
  async broadcast(tx: Uint8Array): Promise<{ hash: string; code: number; codespace: string; log: string }> {
    const { code, codespace, log } = await reach(() => this.#comet.broadcastTxSync({ tx }));
    return { hash: hashOf(tx), code, codespace: codespace ?? "", log: log ?? "" };
  }

  /** Undefined while it is in no block. */
  async tx(hash: string): Promise<TxResult | undefined> {
    return (await this.txSearch(`tx.hash='${hash}'`))[0];
  }

  /** The first page (at most 100) of the transactions that a query of CometBFT's language finds, oldest first. */
  async txSearch(query: string): Promise<TxResult[]> {
    const { txs } = await reach(() => this.#comet.txSearch({ query, per_page: 100, order_by: "asc" }));
    return txs.map(({ tx, height, result }) => ({
      hash: hashOf(tx),
      height: BigInt(height),
      code: result.code,
      codespace: result.codespace ?? "",
      log: result.log ?? "",
      data: result.data ?? new Uint8Array(),
      bytes: tx,
      events: result.events.map(fromTendermintEvent),
    }));
  }

  /** Decoded messages of a transaction, those of unknown types left out. */
  messagesOf(tx: Uint8Array): EncodeObject[] {
    try {
      return decodeTxRaw(tx).body.messages.flatMap(({ typeUrl, value }) =>
        this.#registry.lookupType(typeUrl) ? [{ typeUrl, value: this.#registry.decode({ typeUrl, value }) }] : [],
      );
    } catch {
      return []; // a block may hold bytes that are no transaction; they failed there too
    }
  }

  close(): void {
    this.#comet.disconnect();
  }
}

/** Node errors that say something about the request pass through; silence becomes `chain_unavailable`. */
async function reach<T>(call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (error) {
    const message = messageOf(error);
    if (message.startsWith('{"code":'))
      throw new KaratError("rpc_error", `The node answered with an error: ${message}`, {}, error);
    throw new KaratError(
      "chain_unavailable",
      `The chain's RPC does not answer: ${message}. Is the node running?`,
      {},
      error,
    );
  }
}

const hashOf = (tx: Uint8Array): string => toHex(sha256(tx)).toUpperCase();
