import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import * as abci from "cosmjs-types/tendermint/abci/types";
import type { Application } from "../abci.ts";
import { sha256 } from "../consensus/merkle.ts";

interface KvState {
  height: string;
  appHash: string;
  values: Record<string, string>;
}

/** Misbehaviour a test asks for. */
export interface KvFaults {
  /** Throws in FinalizeBlock of this height. */
  failAtHeight?: bigint;
  /** Dies (kill -9 of its own process) at this point of this height. */
  dieAt?: { height: bigint; point: "before-finalize" | "after-finalize" | "before-persist" | "after-persist" };
}

const text = (bytes: Uint8Array) => Buffer.from(bytes).toString();
const OK = 0;
const MALFORMED = 2;

/**
 * A key-value application to test engines with. A transaction is text: `key=value` sets; `key=value;fail` passes CheckTx
 * and fails in the block; `val:<base64 key>=<power>` changes the validator set; `max-gas=<n>` changes
 * that consensus parameter; anything else is refused with code 2.
 * Query path `/key` with the key as data gives the value. State is one JSON file, written in Commit.
 */
export class KvApp implements Application {
  readonly calls: string[] = [];
  readonly finalized: abci.RequestFinalizeBlock[] = [];
  readonly #file: string;
  readonly #faults: KvFaults;
  #committed: KvState;
  #working: KvState | undefined;

  constructor(dir: string, faults: KvFaults = {}) {
    mkdirSync(dir, { recursive: true });
    this.#file = join(dir, "kv.json");
    this.#faults = faults;
    const empty: KvState = { height: "0", appHash: "", values: {} };
    this.#committed = existsSync(this.#file) ? (JSON.parse(readFileSync(this.#file, "utf8")) as KvState) : empty;
  }

  info(): abci.ResponseInfo {
    const { height, appHash } = this.#committed;
    return abci.ResponseInfo.fromPartial({
      data: "kv",
      version: "0.1.0",
      appVersion: 1n,
      lastBlockHeight: BigInt(height),
      lastBlockAppHash: Buffer.from(appHash, "hex"),
    });
  }

  query({ path, data }: abci.RequestQuery): abci.ResponseQuery {
    const height = BigInt(this.#committed.height);
    if (path !== "/key") {
      return abci.ResponseQuery.fromPartial({ code: 6, log: `unknown query path: ${path}`, codespace: "sdk", height });
    }
    const value = this.#committed.values[text(data)] ?? "";
    return abci.ResponseQuery.fromPartial({ key: data, value: Buffer.from(value), height });
  }

  checkTx({ tx, type }: abci.RequestCheckTx): abci.ResponseCheckTx {
    this.calls.push(type === abci.CheckTxType.RECHECK ? "recheckTx" : "checkTx");
    const code = parse(text(tx)) ? OK : MALFORMED;
    return abci.ResponseCheckTx.fromPartial({
      code,
      log: code === OK ? "" : "tx parse error",
      codespace: code === OK ? "" : "sdk",
      gasWanted: 1n,
    });
  }

  initChain({ appStateBytes }: abci.RequestInitChain): abci.ResponseInitChain {
    this.calls.push("initChain");
    const values = JSON.parse(text(appStateBytes) || "{}") as Record<string, string>;
    this.#committed = { height: "0", values, appHash: hashOf(values) };
    return abci.ResponseInitChain.fromPartial({ appHash: Buffer.from(this.#committed.appHash, "hex") });
  }

  prepareProposal({ txs }: abci.RequestPrepareProposal): abci.ResponsePrepareProposal {
    this.calls.push("prepareProposal");
    return { txs };
  }

  processProposal(): abci.ResponseProcessProposal {
    this.calls.push("processProposal");
    return { status: abci.ResponseProcessProposal_ProposalStatus.ACCEPT };
  }

  finalizeBlock(request: abci.RequestFinalizeBlock): abci.ResponseFinalizeBlock {
    this.calls.push("finalizeBlock");
    this.finalized.push(request);
    if (request.height === this.#faults.failAtHeight) throw new Error("the test application was told to fail");
    this.#dieAt("before-finalize", request.height);
    const values = { ...this.#committed.values };
    const validatorUpdates: abci.ValidatorUpdate[] = [];
    let maxGas: bigint | undefined;
    const txResults = request.txs.map((bytes) => {
      const tx = parse(text(bytes));
      if (!tx || tx.fails)
        return abci.ExecTxResult.fromPartial({ code: 5, log: "told to fail", codespace: "kv", gasUsed: 1n });
      if (tx.key.startsWith("val:")) {
        validatorUpdates.push({ pubKey: { ed25519: Buffer.from(tx.key.slice(4), "base64") }, power: BigInt(tx.value) });
      } else if (tx.key === "max-gas") maxGas = BigInt(tx.value);
      else values[tx.key] = tx.value;
      return abci.ExecTxResult.fromPartial({
        data: Buffer.from(tx.value),
        gasWanted: 1n,
        gasUsed: 1n,
        events: [
          event("set", { key: tx.key, value: tx.value }),
          event("transfer", { sender: "alice", amount: "12coin" }),
          event("transfer", { sender: "bob", amount: "40" }),
        ],
      });
    });
    const appHash = hashOf(values);
    this.#working = { height: request.height.toString(), appHash, values };
    this.#dieAt("after-finalize", request.height);
    return abci.ResponseFinalizeBlock.fromPartial({
      txResults,
      validatorUpdates,
      ...(maxGas === undefined ? {} : { consensusParamUpdates: { block: { maxBytes: 22_020_096n, maxGas } } }),
      events: request.txs.length > 0 ? [event("batch", { size: String(request.txs.length) })] : [],
      appHash: Buffer.from(appHash, "hex"),
    });
  }

  commit(): abci.ResponseCommit {
    this.calls.push("commit");
    this.#committed = this.#working!;
    const height = BigInt(this.#committed.height);
    this.#dieAt("before-persist", height);
    writeFileSync(`${this.#file}.new`, JSON.stringify(this.#committed));
    renameSync(`${this.#file}.new`, this.#file);
    this.#dieAt("after-persist", height);
    return { retainHeight: 0n };
  }

  extendVote(): abci.ResponseExtendVote {
    return { voteExtension: new Uint8Array() };
  }

  verifyVoteExtension(): abci.ResponseVerifyVoteExtension {
    return { status: abci.ResponseVerifyVoteExtension_VerifyStatus.ACCEPT };
  }

  listSnapshots(): abci.ResponseListSnapshots {
    return { snapshots: [] };
  }

  offerSnapshot(): abci.ResponseOfferSnapshot {
    return { result: abci.ResponseOfferSnapshot_Result.REJECT };
  }

  loadSnapshotChunk(): abci.ResponseLoadSnapshotChunk {
    return { chunk: new Uint8Array() };
  }

  applySnapshotChunk(): abci.ResponseApplySnapshotChunk {
    return abci.ResponseApplySnapshotChunk.fromPartial({ result: abci.ResponseApplySnapshotChunk_Result.ABORT });
  }

  #dieAt(point: NonNullable<KvFaults["dieAt"]>["point"], height: bigint): void {
    const { dieAt } = this.#faults;
    if (dieAt?.height === height && dieAt.point === point) process.kill(process.pid, "SIGKILL");
  }
}

function parse(tx: string): { key: string; value: string; fails: boolean } | undefined {
  const [assignment = "", flag] = tx.split(";");
  // The last `=` divides: base64 keys end in the same character.
  const at = assignment.lastIndexOf("=");
  if (at <= 0 || (flag !== undefined && flag !== "fail")) return undefined;
  return { key: assignment.slice(0, at), value: assignment.slice(at + 1), fails: flag === "fail" };
}

const event = (type: string, attributes: Record<string, string>): abci.Event => ({
  type,
  attributes: Object.entries(attributes).map(([key, value]) => ({ key, value, index: true })),
});

const hashOf = (values: Record<string, string>): string =>
  Buffer.from(sha256(Buffer.from(JSON.stringify(Object.entries(values).sort())))).toString("hex");
