import { KaratError, type Logger, toHex } from "@karat/common";
import {
  ResponseProcessProposal_ProposalStatus as ProposalStatus,
  RequestCommit,
  RequestFinalizeBlock,
  RequestPrepareProposal,
  RequestProcessProposal,
  type ResponseFinalizeBlock,
} from "cosmjs-types/tendermint/abci/types";
import type { Block } from "cosmjs-types/tendermint/types/block";
import type { BlockID } from "cosmjs-types/tendermint/types/types";
import type { Application } from "../abci.ts";
import { blockIdOf, validatorsHash } from "../consensus/hashes.ts";
import type { Ed25519Key } from "../consensus/keys.ts";
import type { Mempool } from "./mempool.ts";
import {
  blockLimits,
  commitInfo,
  decide,
  extendedCommitInfo,
  makeBlock,
  nextBlockTime,
  noCommit,
  txProtoBytes,
} from "./proposal.ts";
import { type ChainState, nextHeight, stateAfter } from "./state.ts";
import type { DecidedBlock, SoloStore } from "./store.ts";

/** A block that was executed and committed. */
export interface ExecutedBlock {
  readonly decided: DecidedBlock;
  readonly response: ResponseFinalizeBlock;
  readonly before: ChainState;
  readonly after: ChainState;
}

export interface ExecutorOptions {
  readonly application: Application;
  readonly store: SoloStore;
  readonly mempool: Mempool;
  readonly key: Ed25519Key;
  readonly log: Logger;
  /** Keep this many newest blocks; absent, all of them. */
  readonly retainBlocks?: bigint;
}

/** Makes and executes blocks, in CometBFT's order of calls and of writes. Run it from the serial queue only. */
export class Executor {
  readonly #options: ExecutorOptions;

  constructor(options: ExecutorOptions) {
    this.#options = options;
  }

  /**
   * Makes the block after `state`: PrepareProposal, ProcessProposal, block on disk, FinalizeBlock, results on disk, Commit,
   * recheck. Throws where the application breaks a rule of ABCI; the engine halts then.
   */
  async produce(state: ChainState): Promise<ExecutedBlock> {
    const decided = await this.#propose(state);
    this.#options.store.saveBlock(decided);
    const executed = await this.apply(state, decided);
    const { txs } = decided.block.data;
    this.#options.mempool.setBlockLimits(blockLimits(executed.after));
    await this.#options.mempool.update(
      txs,
      executed.response.txResults.map(({ code }) => code === 0),
    );
    return executed;
  }

  async #propose(state: ChainState): Promise<DecidedBlock> {
    const { application, store, mempool, key } = this.#options;
    if (!state.validators.some(({ address }) => Buffer.compare(address, key.address) === 0)) {
      throw new KaratError("engine/not-a-validator", "the solo engine's own key is not in the validator set", {
        address: toHex(key.address),
      });
    }
    const lastCommit = state.lastHeight === 0n ? noCommit() : store.commit(state.lastHeight);
    if (lastCommit === undefined) throw new KaratError("engine/store-corrupt", "the last commit is missing");
    const { maxBytes: maxTxBytes, maxGas } = blockLimits(state);
    const prepared = await application.prepareProposal(
      RequestPrepareProposal.fromPartial({
        maxTxBytes,
        txs: mempool.reap(maxTxBytes, maxGas),
        localLastCommit: extendedCommitInfo(lastCommit, state.lastValidators),
        misbehavior: [],
        height: nextHeight(state),
        time: nextBlockTime(state, lastCommit),
        nextValidatorsHash: validatorsHash(state.nextValidators),
        proposerAddress: key.address,
      }),
    );
    const size = prepared.txs.reduce((sum, tx) => sum + txProtoBytes(tx), 0n);
    if (size > maxTxBytes) {
      throw new KaratError("engine/proposal-too-large", "PrepareProposal returned more than fits", {
        size,
        maxTxBytes,
      });
    }
    const block = makeBlock(state, lastCommit, prepared.txs, key.address);
    const identity = blockIdOf(block);
    const { status } = await application.processProposal(
      RequestProcessProposal.fromPartial({
        ...this.#blockFields(block, identity.blockId),
        proposedLastCommit: commitInfo(lastCommit, state.lastValidators),
      }),
    );
    // There is no other proposer to take over: an application that rejects its own proposal has no way on.
    if (status !== ProposalStatus.ACCEPT) {
      throw new KaratError("engine/proposal-rejected", "ProcessProposal rejected what PrepareProposal made", {
        height: block.header.height,
        status,
      });
    }
    return decide(state, block, identity, key);
  }

  #blockFields(block: Block, blockId: BlockID) {
    return {
      txs: block.data.txs,
      misbehavior: [],
      hash: blockId.hash,
      height: block.header.height,
      time: block.header.time,
      nextValidatorsHash: block.header.nextValidatorsHash,
      proposerAddress: block.header.proposerAddress,
    };
  }

  /** Executes a decided block and commits it. */
  async apply(state: ChainState, decided: DecidedBlock): Promise<ExecutedBlock> {
    const { application, store, log } = this.#options;
    const { response, after } = await this.execute(state, decided);
    store.saveResults(decided.block, response, after);
    const { retainHeight } = await application.commit(RequestCommit.fromPartial({}));
    this.#prune(after.lastHeight, retainHeight);
    log.debug({ height: after.lastHeight.toString(), txs: decided.block.data.txs.length }, "committed a block");
    return { decided, response, before: state, after };
  }

  /** FinalizeBlock and the state that follows from it; writes nothing. */
  async execute(
    state: ChainState,
    { block, meta }: DecidedBlock,
  ): Promise<{ response: ResponseFinalizeBlock; after: ChainState }> {
    const response = await this.#options.application.finalizeBlock(
      RequestFinalizeBlock.fromPartial({
        ...this.#blockFields(block, meta.blockId),
        decidedLastCommit: commitInfo(block.lastCommit ?? noCommit(), state.lastValidators),
      }),
    );
    if (response.txResults.length !== block.data.txs.length) {
      throw new KaratError("engine/results-mismatch", "FinalizeBlock must give one result for each transaction", {
        txs: block.data.txs.length,
        results: response.txResults.length,
      });
    }
    return { response, after: stateAfter(state, block.header, meta.blockId, response) };
  }

  #prune(height: bigint, appRetainHeight: bigint): void {
    const { store, retainBlocks, log } = this.#options;
    const byCount = retainBlocks === undefined ? 0n : height - retainBlocks + 1n;
    const retain = byCount > appRetainHeight ? byCount : appRetainHeight;
    const pruned = store.prune(retain < height ? retain : height);
    if (pruned > 0) log.debug({ pruned }, "pruned old blocks");
  }
}
