import { sha256, silentLogger, utf8 } from "@karat/common";
import type * as abci from "cosmjs-types/tendermint/abci/types";
import { ConsensusParams } from "cosmjs-types/tendermint/types/params";
import { BlockIDFlag } from "cosmjs-types/tendermint/types/validator";
import { createKaratApp } from "../../chain/src/app/compose.ts";
import { blockContext } from "../../chain/src/app/context.ts";
import { MAX_BLOCK_BYTES, MAX_BLOCK_GAS } from "../../chain/src/app/genesis.ts";
import type { KaratApp } from "../../chain/src/app/karatApp.ts";
import type { Context } from "../../chain/src/app/module.ts";
import { State } from "../../chain/src/app/state.ts";
import { validators } from "../../chain/src/modules/epoch/keys.ts";
import type { TreeCommitStore } from "../../chain/src/store/index.ts";

export interface Genesis {
  readonly chainId: string;
  /** Every block hash follows from it. */
  readonly seed: string;
  readonly initialHeight: bigint;
  readonly appState: unknown;
  /** Nobody signs twice: whoever is banned by the block itself has another lane in it than in CheckTx. */
  readonly honestValidators?: boolean;
}

const GENESIS_SECONDS = 1_700_000_000n;
const timeOf = (height: bigint) => ({ seconds: GENESIS_SECONDS + 5n * height, nanos: 0 });

/** One node's application over its store, without an engine. `open` is asked again at every restart. */
export class Replica {
  readonly genesis: Genesis;
  app: KaratApp;
  store: TreeCommitStore;
  readonly #open: () => TreeCommitStore;
  readonly #checkInvariants: boolean;

  constructor(genesis: Genesis, open: () => TreeCommitStore, checkInvariants: boolean) {
    this.genesis = genesis;
    this.#open = open;
    this.#checkInvariants = checkInvariants;
    this.store = open();
    this.app = this.#newApp();
    if (this.store.height() === 0n) this.#initChain();
  }

  /** The process ends and starts again; what was not committed is gone. */
  restart(): void {
    this.store.close();
    this.store = this.#open();
    this.app = this.#newApp();
    if (this.store.height() === 0n) this.#initChain();
  }

  /** Height of the next block. */
  get next(): bigint {
    const height = this.store.height();
    return height === 0n ? this.genesis.initialHeight : height + 1n;
  }

  finalizeRequest(txs: readonly Uint8Array[]): abci.RequestFinalizeBlock {
    const height = this.next;
    return {
      txs: [...txs],
      height,
      hash: sha256(utf8(`${this.genesis.seed}/${height}`)),
      time: timeOf(height),
      ...this.#consensus(height),
      nextValidatorsHash: new Uint8Array(32),
      proposerAddress: new Uint8Array(20),
    };
  }

  /** Validators that are down for a while, one after the other, and now and then one that signs twice. */
  #consensus(height: bigint): Pick<abci.RequestFinalizeBlock, "decidedLastCommit" | "misbehavior"> {
    const dice = sha256(utf8(`${this.genesis.seed}/consensus/${height}`));
    const down = sha256(utf8(`${this.genesis.seed}/down/${height / 15n}`))[0]!;
    const set =
      height <= this.genesis.initialHeight ? [] : Array.from(validators.entries(this.context().store("epoch")));
    const all = set.map(([key, power]) => ({ address: sha256(key).slice(0, 20), power }));
    return {
      decidedLastCommit: {
        round: 0,
        votes: all.map((validator, i) => ({
          validator,
          blockIdFlag: i === down % all.length ? BlockIDFlag.BLOCK_ID_FLAG_ABSENT : BlockIDFlag.BLOCK_ID_FLAG_COMMIT,
        })),
      },
      misbehavior:
        dice[0]! < 3 && all.length > 0 && !this.genesis.honestValidators
          ? [
              {
                type: 1,
                validator: all[dice[1]! % all.length]!,
                height: height - 1n,
                time: timeOf(height - 1n),
                totalVotingPower: all.reduce((sum, { power }) => sum + power, 0n),
              },
            ]
          : [],
    };
  }

  /** What a proposer makes of the mempool. */
  prepare(txs: readonly Uint8Array[]): Uint8Array[] {
    return this.app.prepareProposal({
      ...this.finalizeRequest(txs),
      maxTxBytes: BigInt(MAX_BLOCK_BYTES),
      localLastCommit: { round: 0, votes: [] },
    }).txs;
  }

  process(txs: readonly Uint8Array[]): abci.ResponseProcessProposal {
    return this.app.processProposal({
      ...this.finalizeRequest(txs),
      proposedLastCommit: { round: 0, votes: [] },
    });
  }

  /** The committed state, for reading through keepers; what is written there is dropped. */
  context(): Context {
    const height = this.store.height();
    const block = { chainId: this.genesis.chainId, height, time: timeOf(height), blockHash: new Uint8Array() };
    return blockContext(block, State.of(this.store));
  }

  #newApp(): KaratApp {
    return createKaratApp({ store: this.store, log: silentLogger, checkInvariants: this.#checkInvariants });
  }

  #initChain(): void {
    const { chainId, initialHeight, appState } = this.genesis;
    this.app.initChain({
      chainId,
      time: timeOf(0n),
      consensusParams: ConsensusParams.fromPartial({
        block: { maxBytes: BigInt(MAX_BLOCK_BYTES), maxGas: BigInt(MAX_BLOCK_GAS) },
      }),
      validators: [],
      appStateBytes: utf8(JSON.stringify(appState)),
      initialHeight,
    });
  }
}
