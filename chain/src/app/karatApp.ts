import { KaratError, type Logger } from "@karat/common";
import * as abci from "cosmjs-types/tendermint/abci/types";
import { ConsensusParams } from "cosmjs-types/tendermint/types/params";
import type { Application } from "../engine/abci.ts";
import type { Upgrade } from "../modules/upgrade/index.ts";
import { Committed } from "../store/committed.ts";
import type { CommitStore } from "../store/types.ts";
import { abciTxResult, abciValidatorUpdate, consensusFacts } from "./abciTypes.ts";
import { Admission, type MempoolShares } from "./admission.ts";
import type { AnteDeps } from "./ante.ts";
import { type BlockInfo, blockContext } from "./context.ts";
import { SDK } from "./errors.ts";
import { type Mode, type SignaturePart, type TxOutcome, TxRunner } from "./execute.ts";
import { type AppState, initGenesis } from "./initGenesis.ts";
import type { ChainEvent, Context, Module, QueryHandler, ValidatorUpdate } from "./module.ts";
import { byGasPrice } from "./priority.ts";
import { acceptable, selectTransactions } from "./proposals.ts";
import { answerQuery } from "./query.ts";
import { createRouter, type Router } from "./router.ts";
import type { SignatureCheck } from "./signatures/verified.ts";
import { rejectSnapshots, type SnapshotService } from "./snapshots.ts";
import { State } from "./state.ts";
import { blockLimits, chainIdOf, initSystem, lastBlock, recordBlock } from "./system.ts";
import { type Upgrades, upgradeState } from "./upgrade.ts";

/** Version of the rules: what changes results changes it, with a migration (`compose.ts`). */
export const APP_VERSION = 1n;

export interface KaratAppOptions {
  readonly store: CommitStore;
  /** In the order in which blocks begin and genesis is read. */
  readonly modules: readonly Module[];
  /** Names of modules in the order in which blocks end; those not named come first, in their own order. */
  readonly endOrder?: readonly string[];
  readonly ante: AnteDeps;
  readonly genesisValidators?: (ctx: Context) => readonly ValidatorUpdate[];
  /** Queries that no module owns; they get the application because some of them simulate. */
  readonly services?: (app: KaratApp) => Readonly<Record<string, QueryHandler>>;
  readonly snapshots?: SnapshotService;
  /** Which rules the state follows, and what this program has to follow them; without it, one version for ever. */
  readonly upgrades?: Upgrades;
  readonly log: Logger;
  readonly version: string;
  /** Checks every invariant at the end of every block and halts where one is broken: reads the whole state. */
  readonly checkInvariants?: boolean;
  /** Refuses a genesis of another chain. */
  readonly chainId?: string;
  /** How much of this node's mempool who may fill. */
  readonly mempool?: MempoolShares;
}

interface Finalized {
  readonly height: bigint;
  readonly appHash: Uint8Array;
}

/**
 * The state machine behind ABCI 2.0. Committed state changes in `commit` only; everything before works on branches that a
 * second call discards. Expected failures of transactions are codes; anything else is thrown and stops the node.
 */
export class KaratApp implements Application {
  readonly #options: KaratAppOptions;
  readonly #store: CommitStore;
  readonly #committed: Committed;
  readonly #router: Router;
  readonly #endOrder: readonly Module[];
  readonly #snapshots: SnapshotService;
  #chainId: string;
  #runner: TxRunner | undefined;
  /** What InitChain wrote, until the first block commits it. */
  #genesis: State | undefined;
  /** Where CheckTx leaves sequences and fees, so that a client may queue several transactions. */
  #check: State;
  #finalized: Finalized | undefined;
  readonly #admission: Admission;

  constructor(options: KaratAppOptions) {
    this.#options = options;
    this.#store = options.store;
    this.#admission = new Admission(options.mempool);
    this.#committed = new Committed(options.store, options.checkInvariants);
    this.#router = createRouter(options.modules, options.services?.(this));
    const last = options.endOrder ?? [];
    this.#endOrder = [
      ...options.modules.filter(({ name }) => !last.includes(name)),
      ...last
        .map((name) => options.modules.find((module) => module.name === name))
        .filter((module) => module !== undefined),
    ];
    this.#snapshots = options.snapshots ?? rejectSnapshots;
    this.#check = this.#base();
    this.#chainId = chainIdOf(this.#check) ?? "";
    if (this.#chainId !== "") {
      if (options.chainId !== undefined && options.chainId !== this.#chainId) this.#refuseChain(this.#chainId);
      this.#runner = this.#newRunner();
    }
  }

  /** Empty before InitChain. */
  get chainId(): string {
    return this.#chainId;
  }

  /** Last committed height, 0 when fresh. */
  get height(): bigint {
    return this.#store.height();
  }

  info(): abci.ResponseInfo {
    const height = this.#store.height();
    return {
      data: "karat",
      version: this.#options.version,
      appVersion: this.#stateVersion(),
      lastBlockHeight: height,
      lastBlockAppHash: height === 0n ? new Uint8Array() : this.#store.appHash(),
    };
  }

  initChain(request: abci.RequestInitChain): abci.ResponseInitChain {
    if (this.#store.height() !== 0n) {
      throw new KaratError("already_initialised", "InitChain on a chain with blocks", { height: this.#store.height() });
    }
    const { chainId } = request;
    if (this.#options.chainId !== undefined && this.#options.chainId !== chainId) this.#refuseChain(chainId);
    const initialHeight = request.initialHeight > 0n ? request.initialHeight : 1n;
    const params = request.consensusParams ?? ConsensusParams.fromPartial({});
    const state = new State(this.#committed);
    initSystem(state, { chainId, params, time: request.time, initialHeight });
    const ctx = blockContext(
      { chainId, height: initialHeight, time: request.time, blockHash: new Uint8Array() },
      state,
    );
    initGenesis(this.#router.modules, ctx, request.appStateBytes);
    const validators = onePerKey(this.#options.genesisValidators?.(ctx) ?? []).map(abciValidatorUpdate);
    this.#genesis = state;
    this.#chainId = chainId;
    this.#runner = this.#newRunner();
    this.#check = this.#base();
    this.#assertInvariants(this.#base());
    return { validators, appHash: this.#committed.stage(initialHeight, state.overlays) };
  }

  /** A transaction that nobody minds but that finds its share of the mempool full is refused with `mempool is full`, and may come again. */
  checkTx({ tx, type }: abci.RequestCheckTx): abci.ResponseCheckTx {
    const state = this.#check.branch();
    const outcome = this.#run("check", tx, state, this.#nextBlock());
    const { lane, signers } = outcome;
    const signer = signers[0] ?? "";
    if (outcome.code === 0 && lane !== undefined) {
      const full = type === abci.CheckTxType.RECHECK ? undefined : this.#admission.full(lane, signer);
      if (full !== undefined) {
        const log = `mempool is full: the share of ${full === "lane" ? "paying transactions" : signer} is used up, try again after the next block`;
        return abciTxResult({ ...outcome, ...SDK.mempoolFull, log, events: [] });
      }
      this.#admission.add(lane, signer);
    }
    state.flushTo(this.#check);
    return abciTxResult(outcome);
  }

  prepareProposal(request: abci.RequestPrepareProposal): abci.ResponsePrepareProposal {
    const state = this.#base();
    const budget = { bytes: request.maxTxBytes, gas: blockLimits(state).gas };
    const block = { ...this.#nextBlock(), height: request.height, time: request.time };
    const ctx = blockContext(block, state);
    if (this.#migrates(ctx)) return { txs: [] };
    this.#upgrade(ctx);
    const runner = this.#mustRun();
    const candidates = byGasPrice(request.txs, (tx) => runner.offerOf(tx));
    return { txs: selectTransactions(candidates, state, block, budget, runner) };
  }

  processProposal(request: abci.RequestProcessProposal): abci.ResponseProcessProposal {
    const state = this.#base();
    const block = { ...this.#nextBlock(), height: request.height, time: request.time };
    const accepted = this.#acceptable(request.txs, block, state);
    if (!accepted) this.#options.log.warn({ height: request.height.toString() }, "a proposal was rejected");
    const { ACCEPT, REJECT } = abci.ResponseProcessProposal_ProposalStatus;
    return { status: accepted ? ACCEPT : REJECT };
  }

  finalizeBlock(request: abci.RequestFinalizeBlock): abci.ResponseFinalizeBlock {
    const { height, time, hash } = request;
    const state = this.#base();
    const last = lastBlock(state, this.#chainId).height;
    if (height !== last + 1n) {
      throw new KaratError("unexpected_height", "a block must follow the last committed one", { height, last });
    }
    const block: BlockInfo = { chainId: this.#chainId, height, time, blockHash: hash };
    const events: ChainEvent[] = [];
    const ctx = blockContext(block, state, events);
    const upgrade = this.#upgrade(ctx);
    if (upgrade !== undefined) {
      this.#options.log.info({ name: upgrade.name, height: height.toString() }, "the state was migrated");
    }
    const facts = consensusFacts(request);
    for (const module of this.#router.modules) module.beginBlock?.(ctx, facts);
    const txResults = request.txs.map((tx) => abciTxResult(this.#run("deliver", tx, state, block)));
    const updates = this.#endOrder.flatMap((module) => module.endBlock?.(ctx) ?? []);
    recordBlock(state, block);
    if (this.#options.checkInvariants) this.#assertInvariants(state);
    const appHash = this.#committed.stage(height, state.overlays);
    this.#finalized = { height, appHash };
    return {
      events,
      txResults,
      validatorUpdates: onePerKey(updates).map(abciValidatorUpdate),
      ...(upgrade && { consensusParamUpdates: ConsensusParams.fromPartial({ version: { app: upgrade.version } }) }),
      appHash,
    };
  }

  commit(): abci.ResponseCommit {
    if (this.#finalized === undefined) throw new KaratError("nothing_finalised", "Commit without FinalizeBlock");
    const { height } = this.#finalized;
    this.#committed.commit();
    this.#finalized = undefined;
    this.#genesis = undefined;
    this.#check = this.#base();
    this.#admission.reset();
    this.#snapshots.committed(height);
    return { retainHeight: 0n };
  }

  query(request: abci.RequestQuery): abci.ResponseQuery {
    return answerQuery(request, {
      store: this.#store,
      committed: this.#committed,
      router: this.#router,
      log: this.#options.log,
      chainId: this.#chainId,
    });
  }

  /** Runs a transaction on top of what CheckTx has seen, without signatures or fee minimum; nothing remains. */
  simulate(tx: Uint8Array): TxOutcome {
    return this.#run("simulate", tx, this.#check.branch(), this.#nextBlock());
  }

  /** Signatures that these transactions will be asked for, by the committed state; for verifying them ahead. */
  *signatureChecks(
    txs: readonly Uint8Array[],
    parts: readonly SignaturePart[] = ["transactions", "records"],
  ): Generator<SignatureCheck> {
    if (this.#runner === undefined) return;
    const ctx = blockContext(this.#nextBlock(), this.#base());
    for (const tx of txs) yield* this.#runner.signatureChecks(tx, ctx, parts);
  }

  /** Broken invariants of the committed state; empty when all hold. */
  invariants(): readonly string[] {
    return this.#invariantsOf(this.#base());
  }

  /** The committed state as the `app_state` of a new genesis. */
  exportGenesis(): AppState {
    const state = this.#base();
    const ctx = blockContext(lastBlock(state, this.#chainId), state);
    return Object.fromEntries(
      this.#router.modules.flatMap((module) =>
        module.exportGenesis ? [[module.name, module.exportGenesis(ctx)]] : [],
      ),
    );
  }

  extendVote(): abci.ResponseExtendVote {
    return { voteExtension: new Uint8Array() };
  }

  verifyVoteExtension(): abci.ResponseVerifyVoteExtension {
    return { status: abci.ResponseVerifyVoteExtension_VerifyStatus.ACCEPT };
  }

  listSnapshots(): abci.ResponseListSnapshots {
    return { snapshots: this.#snapshots.list() };
  }

  offerSnapshot(request: abci.RequestOfferSnapshot): abci.ResponseOfferSnapshot {
    return { result: this.#snapshots.offer(request) };
  }

  loadSnapshotChunk(request: abci.RequestLoadSnapshotChunk): abci.ResponseLoadSnapshotChunk {
    return { chunk: this.#snapshots.load(request) };
  }

  applySnapshotChunk(request: abci.RequestApplySnapshotChunk): abci.ResponseApplySnapshotChunk {
    const response = this.#snapshots.apply(request);
    this.#resume();
    return response;
  }

  /** After a snapshot the store holds another chain's worth of blocks. */
  #resume(): void {
    this.#committed.forget();
    this.#check = this.#base();
    const chainId = chainIdOf(this.#check);
    if (chainId === undefined || chainId === this.#chainId) return;
    this.#chainId = chainId;
    this.#runner = this.#newRunner();
  }

  /** Of the committed state, so that a node that takes it over by state sync finds what its light client has seen. */
  #stateVersion(): bigint {
    const { upgrades } = this.#options;
    if (upgrades === undefined) return APP_VERSION;
    const state = this.#base();
    return upgrades.keeper.version(blockContext(lastBlock(state, this.#chainId), state));
  }

  #acceptable(txs: readonly Uint8Array[], block: BlockInfo, state: State): boolean {
    const ctx = blockContext(block, state);
    if (this.#migrates(ctx)) return txs.length === 0;
    this.#upgrade(ctx);
    return acceptable(txs, state, block, blockLimits(state), this.#mustRun());
  }

  /**
   * The block of an upgrade is empty: the validators of the old program agree on it and stop when they execute it, all of them;
   * were they to stop before, one after the other, the last ones would wait for a quorum that has gone.
   */
  #migrates(ctx: Context): boolean {
    const plan = this.#options.upgrades?.keeper.planned(ctx);
    return plan !== undefined && ctx.height >= plan.height;
  }

  #upgrade(ctx: Context): Upgrade | undefined {
    const { upgrades } = this.#options;
    return upgrades && upgradeState(ctx, upgrades);
  }

  /** A fresh branch of what is committed, or of the genesis that waits for its first block. */
  #base(): State {
    const state = new State(this.#committed);
    this.#genesis?.flushTo(state);
    return state;
  }

  #nextBlock(): BlockInfo {
    const last = lastBlock(this.#check, this.#chainId);
    return { ...last, height: last.height + 1n };
  }

  #newRunner(): TxRunner {
    return new TxRunner(this.#router, this.#options.ante, this.#chainId, this.#options.log);
  }

  #mustRun(): TxRunner {
    if (this.#runner === undefined) throw new KaratError("not_initialised", "no genesis yet");
    return this.#runner;
  }

  #run(mode: Mode, tx: Uint8Array, state: State, block: BlockInfo): TxOutcome {
    return this.#mustRun().run(mode, tx, state, block, blockLimits(state).gas);
  }

  #invariantsOf(state: State): readonly string[] {
    const ctx = blockContext(lastBlock(state, this.#chainId), state.branch());
    return this.#router.modules.flatMap((module) => module.invariants?.(ctx) ?? []);
  }

  #assertInvariants(state: State): void {
    const broken = this.#invariantsOf(state);
    if (broken.length > 0) throw new KaratError("invariant_broken", "the state contradicts itself", { broken });
  }

  #refuseChain(found: string): never {
    throw new KaratError("wrong_chain", "the state belongs to another chain", {
      expected: this.#options.chainId,
      found,
    });
  }
}

/** CometBFT refuses a key that comes twice: a module that says so is wrong, and the node stops. */
function onePerKey(updates: readonly ValidatorUpdate[]): readonly ValidatorUpdate[] {
  const keys = new Set(updates.map(({ publicKey }) => Buffer.from(publicKey).toString("hex")));
  if (keys.size !== updates.length)
    throw new KaratError("validator_twice", "a validator is updated twice in one block");
  return updates;
}
