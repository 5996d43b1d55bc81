import type * as abci from "cosmjs-types/tendermint/abci/types";
import { CheckTxType } from "cosmjs-types/tendermint/abci/types";
import type { Application } from "../../engine/abci.ts";
import type { KaratApp } from "../karatApp.ts";
import type { SignaturePool } from "./pool.ts";

/**
 * The application with its signatures verified ahead, in threads. What CheckTx accepts brings the signatures of the
 * records inside it into the pool at once, so that they are known when a block holds it; a block that nobody has seen in
 * CheckTx is verified by all processors before it is executed. Results are those of the application alone.
 */
export class SignaturesAhead implements Application {
  readonly #app: KaratApp;
  readonly #pool: SignaturePool;

  constructor(app: KaratApp, pool: SignaturePool) {
    this.#app = app;
    this.#pool = pool;
  }

  /** A transaction that is refused costs nobody more than its own signatures. */
  checkTx(request: abci.RequestCheckTx): abci.ResponseCheckTx {
    const response = this.#app.checkTx(request);
    if (response.code === 0 && request.type === CheckTxType.NEW) {
      void this.#pool.submit(this.#app.signatureChecks([request.tx], ["records"]));
    }
    return response;
  }

  prepareProposal(request: abci.RequestPrepareProposal): ReturnType<KaratApp["prepareProposal"]> {
    return this.#app.prepareProposal(request);
  }

  /** Only the transactions' own signatures decide here; those of the records inside get ready meanwhile. */
  async processProposal(request: abci.RequestProcessProposal): Promise<abci.ResponseProcessProposal> {
    await this.#pool.settle(this.#app.signatureChecks(request.txs, ["transactions"]));
    const response = this.#app.processProposal(request);
    void this.#pool.submit(this.#app.signatureChecks(request.txs, ["records"]));
    return response;
  }

  async finalizeBlock(request: abci.RequestFinalizeBlock): Promise<abci.ResponseFinalizeBlock> {
    await this.#pool.settle(this.#app.signatureChecks(request.txs));
    return this.#app.finalizeBlock(request);
  }

  info(): ReturnType<KaratApp["info"]> {
    return this.#app.info();
  }

  query(request: abci.RequestQuery): ReturnType<KaratApp["query"]> {
    return this.#app.query(request);
  }

  initChain(request: abci.RequestInitChain): ReturnType<KaratApp["initChain"]> {
    return this.#app.initChain(request);
  }

  extendVote(): ReturnType<KaratApp["extendVote"]> {
    return this.#app.extendVote();
  }

  verifyVoteExtension(): ReturnType<KaratApp["verifyVoteExtension"]> {
    return this.#app.verifyVoteExtension();
  }

  commit(): ReturnType<KaratApp["commit"]> {
    return this.#app.commit();
  }

  listSnapshots(): ReturnType<KaratApp["listSnapshots"]> {
    return this.#app.listSnapshots();
  }

  offerSnapshot(request: abci.RequestOfferSnapshot): ReturnType<KaratApp["offerSnapshot"]> {
    return this.#app.offerSnapshot(request);
  }

  loadSnapshotChunk(request: abci.RequestLoadSnapshotChunk): ReturnType<KaratApp["loadSnapshotChunk"]> {
    return this.#app.loadSnapshotChunk(request);
  }

  applySnapshotChunk(request: abci.RequestApplySnapshotChunk): ReturnType<KaratApp["applySnapshotChunk"]> {
    return this.#app.applySnapshotChunk(request);
  }
}
