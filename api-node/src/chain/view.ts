import type { FollowedBlock } from "@karat/client";
import type { deposit, epoch, params, participant } from "@karat/proto";

/**
 * What this node knows of the chain, kept up to date by following blocks, so that a request asks the chain nothing. Readers throw
 * KaratError `chain_unavailable` only while nothing was ever known; a chain that stops leaves the last state standing.
 */
export interface ChainView {
  readonly chainId: string;
  /** The newest height whose beacon is known. */
  height(): bigint;
  /** Beacon of a recent height; undefined when it is too old or not there yet. */
  beacon(height: bigint): Uint8Array | undefined;
  /** Resolves when the beacon of `height` is known, or undefined after `timeoutMs`. */
  awaitBeacon(height: bigint, timeoutMs: number): Promise<Uint8Array | undefined>;
  /** Snapshot of the epoch that contains `height`, of those kept (the current one and its predecessors). */
  epochAt(height: bigint): epoch.Epoch | undefined;
  params(): params.Params;
  models(): readonly params.Model[];
  /** By operator address. */
  participant(operator: string): participant.Participant | undefined;
  participants(): readonly participant.Participant[];
  /** A client's deposit, at most a few blocks old; undefined when there is none. */
  deposit(client: string, needed: bigint): Promise<deposit.Deposit | undefined>;
  /** Called with each followed block, after the view has taken it in. Returns a function that ends it. */
  onBlock(listener: (block: FollowedBlock) => void): () => void;
}

/** What a deposit can still be asked for. */
export const spendable = (of: deposit.Deposit | undefined): bigint =>
  of === undefined || of.refunding > of.available ? 0n : of.available - of.refunding;
