import { DENOM, KaratError, sha256, silentLogger, utf8 } from "@karat/common";
import { params as paramsProto, type participant } from "@karat/proto";
import type * as abci from "cosmjs-types/tendermint/abci/types";
import { ConsensusParams } from "cosmjs-types/tendermint/types/params";
import { ed25519Key } from "../../engine/consensus/keys.ts";
import { consensusProof } from "../../engine/consensus/proof.ts";
import { accountKeeper } from "../../modules/auth/index.ts";
import { MemoryCommitStore } from "../../store/index.ts";
import type { CommitStore } from "../../store/types.ts";
import type { MempoolShares } from "../admission.ts";
import { type Composition, composeModules, createKaratApp, STORES } from "../compose.ts";
import { blockContext } from "../context.ts";
import { appState, type GenesisAccount, MAX_BLOCK_BYTES, MAX_BLOCK_GAS } from "../genesis.ts";
import type { KaratApp } from "../karatApp.ts";
import type { Context } from "../module.ts";
import type { SnapshotService } from "../snapshots.ts";
import { State } from "../state.ts";
import { type Message, type Signer, signerOf, signTx } from "./signer.ts";

export interface HarnessOptions {
  readonly chainId?: string;
  /** Every block hash follows from it. */
  readonly seed?: string;
  /** Participants `participant0` … with all their keys, each offering `models` at 1 in, 2 out. */
  readonly participants?: number;
  /** Accounts `client0` … with `clientAmount` in the bank and `clientDeposit` deposited. */
  readonly clients?: number;
  readonly clientAmount?: bigint;
  readonly clientDeposit?: bigint;
  readonly collateral?: bigint;
  readonly capacity?: bigint;
  readonly accounts?: readonly GenesisAccount[];
  readonly params?: Partial<paramsProto.Params>;
  readonly models?: readonly paramsProto.Model[];
  /** Changes the genesis participants. */
  readonly participant?: (index: number) => Partial<participant.Participant>;
  readonly composition?: Composition;
  readonly store?: CommitStore;
  readonly maxBlockGas?: bigint;
  readonly checkInvariants?: boolean;
  readonly snapshots?: SnapshotService;
  readonly mempool?: MempoolShares;
}

export interface TestParticipant {
  readonly operator: Signer;
  readonly node: Signer;
  readonly validator: Signer;
  readonly consensusKey: Uint8Array;
  /** What the consensus key signs for an operator to register it. */
  prove(chainId: string, operator: string): Uint8Array;
}

export interface TxOptions {
  /** In ukarat; without it what the gas costs at a high price, and nothing for `free`. */
  readonly fee?: bigint;
  readonly free?: boolean;
  readonly gasLimit?: bigint;
  readonly memo?: string;
  readonly timeoutHeight?: bigint;
  /** Instead of the one that is next. */
  readonly sequence?: bigint;
}

export interface Block {
  readonly height: bigint;
  readonly hash: Uint8Array;
  readonly results: readonly abci.ExecTxResult[];
  readonly events: readonly abci.Event[];
  readonly validatorUpdates: readonly abci.ValidatorUpdate[];
  readonly appHash: Uint8Array;
}

export const TEST_MODEL = paramsProto.Model.fromPartial({
  id: "test-model",
  weightsHash: sha256(utf8("weights")),
  contextLength: 4096,
  vocabularySize: 1024,
  quantization: "f16",
});

const GENESIS_SECONDS = 1_700_000_000n;

/**
 * The whole application without an engine, for integration tests: blocks on demand, five seconds apart, with block hashes
 * that follow from a seed, and every invariant checked after each of them. Block 1 (empty) is there from the start.
 */
export class AppHarness {
  readonly app: KaratApp;
  readonly store: CommitStore;
  readonly chainId: string;
  readonly participants: readonly TestParticipant[];
  readonly clients: readonly Signer[];
  /** Has plenty of coins and no part in anything. */
  readonly rich = signerOf("rich");
  readonly #seed: string;
  /** Next sequences of signed transactions, ahead of the chain while they wait. */
  readonly #sequences = new Map<string, bigint>();
  #height = 0n;

  constructor(options: HarnessOptions = {}) {
    this.chainId = options.chainId ?? "karat-test";
    this.#seed = options.seed ?? "seed";
    this.store = options.store ?? new MemoryCommitStore(STORES);
    const composition = options.composition ?? composeModules();
    this.app = createKaratApp({
      store: this.store,
      log: silentLogger,
      checkInvariants: options.checkInvariants ?? true,
      composition,
      ...(options.snapshots && { snapshots: options.snapshots }),
      ...(options.mempool && { mempool: options.mempool }),
    });
    this.participants = Array.from({ length: options.participants ?? 0 }, (_, i) => testParticipant(i));
    this.clients = Array.from({ length: options.clients ?? 0 }, (_, i) => signerOf(`client${i}`));
    this.#height = this.store.height();
    if (this.#height === 0n) {
      this.#initChain(options, composition.modules);
      this.deliver();
    }
  }

  /** Height of the last block. */
  get height(): bigint {
    return this.#height;
  }

  /** A transaction of `signer` (or several), with its next sequence. */
  tx(signer: Signer | readonly Signer[], messages: Message | readonly Message[], options: TxOptions = {}): Uint8Array {
    const signers = "address" in signer ? [signer] : signer;
    const gasLimit = options.gasLimit ?? 50_000_000n;
    const fee = options.fee ?? (options.free ? 0n : gasLimit / 10n);
    return signTx(signers, "typeUrl" in messages ? [messages] : messages, {
      chainId: this.chainId,
      accounts: signers.map(({ address }) => ({
        accountNumber: this.#accountNumber(address),
        sequence: this.#next(address, options),
      })),
      fee: fee === 0n ? [] : [{ denom: DENOM, amount: fee.toString() }],
      gasLimit,
      ...(options.memo !== undefined && { memo: options.memo }),
      ...(options.timeoutHeight !== undefined && { timeoutHeight: options.timeoutHeight }),
    });
  }

  /** One block with these transactions, committed. */
  deliver(txs: readonly Uint8Array[] = [], facts: Parameters<AppHarness["finalizeRequest"]>[1] = {}): Block {
    const height = this.#height + 1n;
    const hash = this.hashOf(height);
    const response = this.app.finalizeBlock(this.finalizeRequest(txs, facts));
    this.app.commit();
    this.#height = height;
    this.#sequences.clear();
    const { txResults: results, events, validatorUpdates, appHash } = response;
    return { height, hash, results, events, validatorUpdates, appHash };
  }

  /** One block with one transaction; throws `tx_failed` where its code is not 0. */
  execute(signer: Signer, messages: Message | readonly Message[], options: TxOptions = {}): abci.ExecTxResult {
    const result = this.deliver([this.tx(signer, messages, options)]).results[0]!;
    if (result.code !== 0) {
      throw new KaratError("tx_failed", result.log, { code: result.code, codespace: result.codespace });
    }
    return result;
  }

  /** Empty blocks; the last of them. */
  jump(blocks: number): Block {
    let last = this.deliver();
    for (let i = 1; i < blocks; i++) last = this.deliver();
    return last;
  }

  /** Empty blocks until `height` is the last one. */
  jumpTo(height: bigint): void {
    while (this.#height < height) this.deliver();
  }

  /** A query as clients make it; throws `query_failed` with the code. */
  query<Q, R>(
    path: string,
    request: { encode(message: Q): { finish(): Uint8Array } },
    response: { decode(bytes: Uint8Array): R },
    message: Q,
  ): R {
    const answer = this.app.query({ path, data: request.encode(message).finish(), height: 0n, prove: false });
    if (answer.code !== 0) {
      throw new KaratError("query_failed", answer.log, { code: answer.code, codespace: answer.codespace });
    }
    return response.decode(answer.value);
  }

  /** Reads the committed state through keepers; what `run` writes is dropped. */
  read<T>(run: (ctx: Context) => T): T {
    const block = {
      chainId: this.chainId,
      height: this.#height,
      time: timeOf(this.#height),
      blockHash: new Uint8Array(),
    };
    return run(blockContext(block, State.of(this.store)));
  }

  /** The hash of a block of this harness, past or to come. */
  hashOf(height: bigint): Uint8Array {
    return sha256(utf8(`${this.#seed}/${height}`));
  }

  /** What the next block's FinalizeBlock would be asked. */
  finalizeRequest(
    txs: readonly Uint8Array[] = [],
    facts: Partial<Pick<abci.RequestFinalizeBlock, "decidedLastCommit" | "misbehavior">> = {},
  ): abci.RequestFinalizeBlock {
    const height = this.#height + 1n;
    return {
      txs: [...txs],
      height,
      hash: this.hashOf(height),
      time: timeOf(height),
      decidedLastCommit: { round: 0, votes: [] },
      misbehavior: [],
      nextValidatorsHash: new Uint8Array(32),
      proposerAddress: new Uint8Array(20),
      ...facts,
    };
  }

  /** Account and sequence of the committed state. */
  account(address: string): { accountNumber: bigint; sequence: bigint } | undefined {
    return this.read((ctx) => accountKeeper.get(ctx, address));
  }

  #initChain(options: HarnessOptions, modules: Composition["modules"]): void {
    const models = options.models ?? [TEST_MODEL];
    const state = appState({
      chainId: this.chainId,
      accounts: [
        { address: this.rich.address, amount: 1_000_000_000_000n },
        ...this.clients.map(({ address }) => ({ address, amount: options.clientAmount ?? 1_000_000_000n })),
        ...(options.accounts ?? []),
      ],
      participants: this.participants.map((entry, index) => ({
        operator: entry.operator.address,
        nodeKey: entry.node.publicKey,
        validatorAddress: entry.validator.address,
        consensusKey: entry.consensusKey,
        url: `https://participant${index}.example`,
        collateral: options.collateral ?? 1_000_000_000n,
        offers: models.map(({ id }) => ({
          model: id,
          inputPrice: 1n,
          outputPrice: 2n,
          capacity: options.capacity ?? 100n,
        })),
        ...options.participant?.(index),
      })),
      deposits:
        (options.clientDeposit ?? 0n) === 0n
          ? []
          : this.clients.map(({ address }) => ({ client: address, available: options.clientDeposit! })),
      params: options.params ?? {},
      models,
    });
    const known = modules.map(({ name }) => name);
    const parts = Object.entries(state).filter(([name]) => known.includes(name));
    this.app.initChain({
      chainId: this.chainId,
      time: timeOf(0n),
      consensusParams: ConsensusParams.fromPartial({
        block: { maxBytes: BigInt(MAX_BLOCK_BYTES), maxGas: options.maxBlockGas ?? BigInt(MAX_BLOCK_GAS) },
      }),
      validators: this.participants.map(({ consensusKey }) => ({ pubKey: { ed25519: consensusKey }, power: 10n })),
      appStateBytes: utf8(JSON.stringify(Object.fromEntries(parts))),
      initialHeight: 1n,
    });
  }

  #accountNumber(address: string): bigint {
    return this.account(address)?.accountNumber ?? 0n;
  }

  #next(address: string, { sequence }: TxOptions): bigint {
    if (sequence !== undefined) return sequence;
    const next = this.#sequences.get(address) ?? this.account(address)?.sequence ?? 0n;
    this.#sequences.set(address, next + 1n);
    return next;
  }
}

export function testParticipant(index: number): TestParticipant {
  const key = ed25519Key(sha256(utf8(`karat test consensus key ${index}`)));
  return {
    operator: signerOf(`operator${index}`),
    node: signerOf(`node${index}`),
    validator: signerOf(`validator${index}`),
    consensusKey: key.publicKey,
    prove: (chainId, operator) => consensusProof(key, chainId, operator),
  };
}

function timeOf(height: bigint): { seconds: bigint; nanos: number } {
  return { seconds: GENESIS_SECONDS + 5n * height, nanos: 0 };
}
