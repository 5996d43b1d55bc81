import { mkdirSync } from "node:fs";
import { KaratError } from "@karat/common";
import { ResponseFinalizeBlock, TxResult } from "cosmjs-types/tendermint/abci/types";
import { Block } from "cosmjs-types/tendermint/types/block";
import { ConsensusParams } from "cosmjs-types/tendermint/types/params";
import { BlockMeta, Commit } from "cosmjs-types/tendermint/types/types";
import { type Database, open, type RootDatabase } from "lmdb";
import type { ValidatorInfo } from "../consensus/validators.ts";
import { EventIndex } from "./event-index.ts";
import { type ChainState, decodeState, decodeValidators, encodeState, encodeValidators, nextHeight } from "./state.ts";

type Table = Database<Buffer, Buffer>;

/** A block as it was decided: what must be durable before the application sees it. */
export interface DecidedBlock {
  readonly block: Block;
  readonly meta: BlockMeta;
  readonly encoded: Uint8Array;
  /** The precommits that decided it. */
  readonly commit: Commit;
}

const heightKey = (height: bigint): Buffer => {
  const key = Buffer.alloc(8);
  key.writeBigUInt64BE(height);
  return key;
};
const STATE = Buffer.from("state");
const FORMAT = Buffer.from("format");
const FORMAT_VERSION = "1";
/** At most this many old blocks leave in one go, so that a new retention limit never stalls block production. */
const PRUNE_BATCH = 50n;

/**
 * The durable side of the solo engine: blocks, their results, the state after each, and the indexes, in one LMDB environment.
 * Every method that writes is one transaction that is on disk when it returns.
 */
export class SoloStore {
  readonly #root: RootDatabase<Buffer, Buffer>;
  readonly #blocks: Table;
  readonly #metas: Table;
  readonly #commits: Table;
  readonly #results: Table;
  readonly #hashes: Table;
  readonly #validators: Table;
  readonly #params: Table;
  readonly index: EventIndex;

  /** Opens or creates the store in a folder; throws `engine/store-format` when another version wrote it. */
  constructor(dir: string) {
    mkdirSync(dir, { recursive: true });
    const binary = { encoding: "binary", keyEncoding: "binary" } as const;
    this.#root = open({ path: dir, ...binary, maxDbs: 16, noSubdir: false, overlappingSync: false });
    const table = (name: string): Table => this.#root.openDB({ name, ...binary });
    this.#blocks = table("blocks");
    this.#metas = table("metas");
    this.#commits = table("commits");
    this.#results = table("results");
    this.#hashes = table("hashes");
    this.#validators = table("validators");
    this.#params = table("params");
    this.index = new EventIndex({ txs: table("txs"), txOrder: table("tx-order"), events: table("events") });
    const format = this.#root.get(FORMAT)?.toString();
    if (format === undefined) this.#root.transactionSync(() => this.#root.putSync(FORMAT, Buffer.from(FORMAT_VERSION)));
    else if (format !== FORMAT_VERSION) {
      throw new KaratError("engine/store-format", "another version wrote this store", { dir, format });
    }
  }

  /** The state after the last block whose results are known. */
  state(): ChainState | undefined {
    const bytes = this.#root.get(STATE);
    return bytes && decodeState(bytes);
  }

  /** The newest block that was decided; 0 when there is none. */
  get height(): bigint {
    return this.#edge(true);
  }

  /** The oldest block that is kept; 0 when there is none. */
  get base(): bigint {
    return this.#edge(false);
  }

  #edge(reverse: boolean): bigint {
    for (const key of this.#metas.getKeys({ reverse, limit: 1 })) return key.readBigUInt64BE();
    return 0n;
  }

  saveGenesisState(state: ChainState): void {
    this.#root.transactionSync(() => this.#putState(state));
  }

  saveBlock({ block, meta, encoded, commit }: DecidedBlock): void {
    const key = heightKey(block.header.height);
    this.#root.transactionSync(() => {
      this.#blocks.putSync(key, Buffer.from(encoded));
      this.#metas.putSync(key, Buffer.from(BlockMeta.encode(meta).finish()));
      this.#commits.putSync(key, Buffer.from(Commit.encode(commit).finish()));
      this.#hashes.putSync(Buffer.from(meta.blockId.hash), key);
    });
  }

  /** Writes the results of a block, its index entries and the state after it, together. */
  saveResults(block: Block, response: ResponseFinalizeBlock, after: ChainState): void {
    this.#root.transactionSync(() => {
      this.#results.putSync(
        heightKey(block.header.height),
        Buffer.from(ResponseFinalizeBlock.encode(response).finish()),
      );
      for (const result of txResultsOf(block, response)) this.index.addTx(result);
      this.index.addBlock(block.header.height, response.events);
      this.#putState(after);
    });
  }

  #putState(state: ChainState): void {
    this.#root.putSync(STATE, Buffer.from(encodeState(state)));
    // Sets and parameters are kept only where they change; a lookup takes the newest at or below the height.
    const height = nextHeight(state);
    putIfChanged(this.#validators, height, Buffer.from(encodeValidators(state.validators)));
    putIfChanged(this.#params, height, Buffer.from(ConsensusParams.encode(state.params).finish()));
  }

  block(height: bigint): Block | undefined {
    const bytes = this.#blocks.get(heightKey(height));
    return bytes && Block.decode(bytes);
  }

  meta(height: bigint): BlockMeta | undefined {
    const bytes = this.#metas.get(heightKey(height));
    return bytes && BlockMeta.decode(bytes);
  }

  commit(height: bigint): Commit | undefined {
    const bytes = this.#commits.get(heightKey(height));
    return bytes && Commit.decode(bytes);
  }

  results(height: bigint): ResponseFinalizeBlock | undefined {
    const bytes = this.#results.get(heightKey(height));
    return bytes && ResponseFinalizeBlock.decode(bytes);
  }

  heightOfHash(hash: Uint8Array): bigint | undefined {
    return hash.length === 32 ? this.#hashes.get(Buffer.from(hash))?.readBigUInt64BE() : undefined;
  }

  /** The set that signs `height`. */
  validators(height: bigint): readonly ValidatorInfo[] | undefined {
    const bytes = newestAtOrBelow(this.#validators, height);
    return bytes && decodeValidators(bytes);
  }

  /** The parameters in force at `height`. */
  params(height: bigint): ConsensusParams | undefined {
    const bytes = newestAtOrBelow(this.#params, height);
    return bytes && ConsensusParams.decode(bytes);
  }

  /** Forgets blocks below `retainHeight`, a bounded number per call. Returns how many went. */
  prune(retainHeight: bigint): number {
    const from = this.base;
    if (from === 0n || retainHeight <= from) return 0;
    const to = retainHeight < from + PRUNE_BATCH ? retainHeight : from + PRUNE_BATCH;
    this.#root.transactionSync(() => {
      for (let height = from; height < to; height++) this.#forget(height);
      dropBelow(this.#validators, to);
      dropBelow(this.#params, to);
    });
    return Number(to - from);
  }

  #forget(height: bigint): void {
    const key = heightKey(height);
    const block = this.block(height);
    const response = this.results(height);
    if (block && response) {
      for (const result of txResultsOf(block, response)) this.index.removeTx(result);
      this.index.removeBlock(height, response.events);
    }
    const meta = this.meta(height);
    if (meta) this.#hashes.removeSync(Buffer.from(meta.blockId.hash));
    for (const table of [this.#blocks, this.#metas, this.#commits, this.#results]) table.removeSync(key);
  }

  async close(): Promise<void> {
    await this.#root.close();
  }
}

/** The index records of a block's transactions, in block order. */
export function txResultsOf(block: Block, response: ResponseFinalizeBlock): TxResult[] {
  return block.data.txs.map((tx, index) =>
    TxResult.fromPartial({ height: block.header.height, index, tx, result: response.txResults[index]! }),
  );
}

function newestAtOrBelow(table: Table, height: bigint): Buffer | undefined {
  for (const { value } of table.getRange({ start: heightKey(height), reverse: true, limit: 1 })) return value;
  return undefined;
}

function putIfChanged(table: Table, height: bigint, value: Buffer): void {
  if (newestAtOrBelow(table, height)?.equals(value) !== true) table.putSync(heightKey(height), value);
}

/** Removes what no height from `height` on needs: all but the newest entry at or below it. */
function dropBelow(table: Table, height: bigint): void {
  const old = [...table.getKeys({ start: heightKey(height), reverse: true })].slice(1);
  for (const key of old) table.removeSync(key);
}
