import type { Lane } from "./ante.ts";
import type { BlockInfo } from "./context.ts";
import type { TxRunner } from "./execute.ts";
import type { State } from "./state.ts";

/** The share of a block's bytes and gas that the protocol lane may fill, in basis points. */
export const PROTOCOL_SHARE_BPS = 7_500n;

/** What a block may hold. Gas is counted as wanted, not as used: that is known before execution. */
export interface BlockBudget {
  readonly bytes: bigint;
  readonly gas: bigint;
}

/** Bytes of one transaction inside a block, with its tag and length prefix as CometBFT counts them. */
export function protoSize(tx: Uint8Array): bigint {
  let overhead = 2;
  for (let rest = tx.length; rest >= 0x80; rest = Math.floor(rest / 0x80)) overhead++;
  return BigInt(tx.length + overhead);
}

/** What any one signer gets of the protocol lane's share before everybody else had a turn. */
export const SIGNER_SHARE_BPS = 2_500n;

const part = ({ bytes, gas }: BlockBudget, bps: bigint): BlockBudget => ({
  bytes: (bytes * bps) / 10_000n,
  gas: (gas * bps) / 10_000n,
});

/** What of a block is taken. */
class Tally {
  bytes = 0n;
  gas = 0n;

  fits({ bytes, gas }: BlockBudget, limit: BlockBudget): boolean {
    return this.bytes + bytes <= limit.bytes && this.gas + gas <= limit.gas;
  }

  add({ bytes, gas }: BlockBudget): void {
    this.bytes += bytes;
    this.gas += gas;
  }
}

/** The tallies of a proposal, and whether another transaction fits. */
class Filling {
  readonly #budget: BlockBudget;
  readonly #protocolShare: BlockBudget;
  readonly #total = new Tally();
  readonly #lanes = { protocol: new Tally(), fee: new Tally() };
  readonly #signers = new Map<string, Tally>();

  constructor(budget: BlockBudget) {
    this.#budget = budget;
    this.#protocolShare = part(budget, PROTOCOL_SHARE_BPS);
  }

  /** By the rule that every proposal has to keep. */
  fits(lane: Lane, size: BlockBudget): boolean {
    if (!this.#total.fits(size, this.#budget)) return false;
    return lane === "fee" || this.#lanes.protocol.fits(size, this.#protocolShare);
  }

  /** Without taking what others may have a better claim to: the other lane's part, other signers' parts. */
  fitsFairly(lane: Lane, size: BlockBudget, signer: string): boolean {
    if (!this.fits(lane, size)) return false;
    if (lane === "fee") return this.#lanes.fee.fits(size, part(this.#budget, 10_000n - PROTOCOL_SHARE_BPS));
    const taken = this.#signers.get(signer);
    return taken === undefined || taken.fits(size, part(this.#protocolShare, SIGNER_SHARE_BPS));
  }

  add(lane: Lane, size: BlockBudget, signer: string): void {
    this.#total.add(size);
    this.#lanes[lane].add(size);
    if (lane === "fee") return;
    const taken = this.#signers.get(signer) ?? new Tally();
    taken.add(size);
    this.#signers.set(signer, taken);
  }
}

/**
 * Chooses a block's transactions among those that pass the ante one after the other on a throw-away state, each lane and
 * signer in the order of the mempool. First everybody gets a fair part, then what is left goes to those who want more.
 * Where a transaction has to wait, the later ones of its signers wait with it: their sequences would be wrong.
 */
export function selectTransactions(
  txs: readonly Uint8Array[],
  state: State,
  block: BlockInfo,
  budget: BlockBudget,
  runner: TxRunner,
): Uint8Array[] {
  const filling = new Filling(budget);
  const chosen: Uint8Array[] = [];
  const choose = (candidates: readonly Uint8Array[], fair: boolean): Uint8Array[] => {
    const waiting = new Set<string>();
    const left: Uint8Array[] = [];
    for (const tx of candidates) {
      const attempt = state.branch();
      const { code, lane, signers, gasWanted } = runner.run("check", tx, attempt, block, budget.gas);
      const size = { bytes: protoSize(tx), gas: gasWanted };
      const waits = signers.some((signer) => waiting.has(signer));
      if (!waits && (code !== 0 || lane === undefined)) continue;
      const signer = signers[0] ?? "";
      const fits = lane !== undefined && (fair ? filling.fitsFairly(lane, size, signer) : filling.fits(lane, size));
      if (waits || lane === undefined || !fits) {
        for (const each of signers) waiting.add(each);
        left.push(tx);
        continue;
      }
      attempt.flushTo(state);
      filling.add(lane, size, signer);
      chosen.push(tx);
    }
    return left;
  };
  choose(choose(txs, true), false);
  return chosen;
}

/**
 * True for every block that `selectTransactions` can make from the same state. False for one with a transaction that
 * nobody pays for, or beyond a limit.
 */
export function acceptable(
  txs: readonly Uint8Array[],
  state: State,
  block: BlockInfo,
  budget: BlockBudget,
  runner: TxRunner,
): boolean {
  const filling = new Filling(budget);
  for (const tx of txs) {
    const { lane, gasWanted, signers } = runner.run("check", tx, state, block, budget.gas);
    const size = { bytes: protoSize(tx), gas: gasWanted };
    if (lane === undefined || !filling.fits(lane, size)) return false;
    filling.add(lane, size, signers[0] ?? "");
  }
  return true;
}
