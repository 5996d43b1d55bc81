import { setTimeout as sleep } from "node:timers/promises";
import { encodeSecp256k1Pubkey } from "@cosmjs/amino";
import {
  type EncodeObject,
  encodePubkey,
  makeAuthInfoBytes,
  makeSignBytes,
  makeSignDoc,
  type Registry,
} from "@cosmjs/proto-signing";
import {
  addressOfKey,
  DENOM,
  isKaratError,
  KaratError,
  type Logger,
  publicKeyOf,
  sha256,
  signDigest,
} from "@karat/common";
import { createKaratRegistry } from "@karat/proto";
import { TxMsgData } from "cosmjs-types/cosmos/base/abci/v1beta1/abci";
import { TxRaw } from "cosmjs-types/cosmos/tx/v1beta1/tx";
import type { ChainClient, TxResult } from "./chainClient.ts";

const SEQUENCE_MISMATCH = 32;
const IN_MEMPOOL = 19;
const MEMPOOL_FULL = 20;
const TIMEOUT_HEIGHT = 30;
const MAX_ATTEMPTS = 5;

export interface SendOptions {
  /** Gas limit; protocol messages pay none, others pay `gasPrice` for each unit. */
  readonly gas?: bigint;
  /** ukarat per unit of gas; 0 for protocol messages. */
  readonly gasPrice?: number;
  readonly memo?: string;
  /** Blocks within which it must be included; afterwards it can never be. */
  readonly timeoutBlocks?: bigint;
  /** Called with the transaction before it leaves, so that its hash can be stored first. */
  readonly onSigned?: (tx: SignedTx) => Promise<void> | void;
  readonly signal?: AbortSignal;
}

export interface SignedTx {
  /** Upper-case hex. */
  readonly hash: string;
  readonly bytes: Uint8Array;
  readonly timeoutHeight: bigint;
}

export interface SentTx extends TxResult {
  /** Encoded response of each message, in order. */
  readonly responses: readonly Uint8Array[];
}

/** For one that follows the blocks anyway: then the chain is asked for a transaction once a block, not several times a second. */
export interface BlockFollower {
  /** Newest known height. */
  height(): bigint;
  /** Resolves with the next block, after `withinMs`, or when the signal is aborted. */
  nextBlock(withinMs: number, signal?: AbortSignal): Promise<void>;
}

export interface TxSenderOptions {
  readonly client: ChainClient;
  readonly privateKey: Uint8Array;
  readonly log: Logger;
  readonly follower?: BlockFollower;
}

const POLL_MS = 200;
/** No transaction is asked for before a block has come, unless that takes so long; then more often, for nodes index a block a moment later. */
const FIRST_WAIT_MS = 2_000;
const NEXT_WAIT_MS = 500;

/**
 * The one writer of a key: transactions go out one after another with the right sequence. Throws KaratError
 * `tx_refused` (data: code, codespace, log), `tx_expired` when the timeout height passed without it,
 * `chain_unavailable` while the chain does not answer: then the caller asks `outcome` before it sends anything anew.
 */
export class TxSender {
  readonly address: string;
  readonly #client: ChainClient;
  readonly #privateKey: Uint8Array;
  readonly #log: Logger;
  readonly #follower: BlockFollower | undefined;
  readonly #registry: Registry = createKaratRegistry();
  #account: { accountNumber: bigint; sequence: bigint } | undefined;
  #tail: Promise<unknown> = Promise.resolve();

  constructor(options: TxSenderOptions) {
    this.#client = options.client;
    this.#follower = options.follower;
    this.#privateKey = options.privateKey;
    this.#log = options.log;
    this.address = addressOfKey(publicKeyOf(options.privateKey));
  }

  /** Signs, broadcasts and waits for inclusion. A transaction that failed in its block throws `tx_refused` too. */
  send(messages: readonly EncodeObject[], options: SendOptions = {}): Promise<SentTx> {
    const run = this.#tail.then(() => this.#send(messages, options));
    this.#tail = run.catch(() => undefined);
    return run;
  }

  /** Whether a transaction sent earlier is in: its result, `pending` while it still can be, `expired` when it never will. */
  async outcome(hash: string, timeoutHeight: bigint): Promise<SentTx | "pending" | "expired"> {
    const found = await this.#client.tx(hash);
    if (found) return sent(found);
    const height = await this.#height();
    if (height <= timeoutHeight) return "pending";
    // It may have come in between the two questions.
    const late = await this.#client.tx(hash);
    return late ? sent(late) : "expired";
  }

  async #height(): Promise<bigint> {
    return this.#follower?.height() ?? (await this.#client.status()).height;
  }

  async #send(messages: readonly EncodeObject[], options: SendOptions): Promise<SentTx> {
    let height = await this.#height();
    for (let attempt = 1; ; attempt++) {
      const tx = await this.#sign(messages, options, height);
      await options.onSigned?.(tx);
      const { code, codespace, log } = await this.#client.broadcast(tx.bytes);
      if (code === 0 || (codespace === "sdk" && code === IN_MEMPOOL)) {
        if (this.#account) this.#account.sequence += 1n;
        return await this.#included(tx, options.signal);
      }
      this.#account = undefined;
      if (codespace === "sdk" && code === MEMPOOL_FULL) {
        throw new KaratError("chain_unavailable", `The node has no room for a transaction now: ${log}`, {
          hash: tx.hash,
        });
      }
      if (codespace === "sdk" && code === SEQUENCE_MISMATCH && attempt <= MAX_ATTEMPTS) {
        this.#log.warn({ address: this.address, log }, "Sequence out of step; reading it again.");
        this.#account = await this.#resync(log);
        continue;
      }
      if (isLate({ code, codespace })) {
        if (attempt > MAX_ATTEMPTS) throw expired(tx);
        // Whoever follows the blocks may be some behind: the chain itself says how far it is.
        height = (await this.#client.status()).height;
        continue;
      }
      throw new KaratError("tx_refused", `The chain refused a transaction: ${log}`, {
        code,
        codespace,
        log,
        hash: tx.hash,
      });
    }
  }

  async #sign(messages: readonly EncodeObject[], options: SendOptions, height: bigint): Promise<SignedTx> {
    this.#account ??= await this.#readAccount();
    const { accountNumber, sequence } = this.#account;
    const gas = options.gas ?? 10_000_000n;
    const timeoutHeight = height + (options.timeoutBlocks ?? 20n);
    const fee = BigInt(Math.ceil(Number(gas) * (options.gasPrice ?? 0)));
    const bodyBytes = this.#registry.encode({
      typeUrl: "/cosmos.tx.v1beta1.TxBody",
      value: { messages, memo: options.memo ?? "", timeoutHeight },
    });
    const pubkey = encodePubkey(encodeSecp256k1Pubkey(publicKeyOf(this.#privateKey)));
    const feeAmount = fee === 0n ? [] : [{ denom: DENOM, amount: String(fee) }];
    const authInfoBytes = makeAuthInfoBytes(
      [{ pubkey, sequence: Number(sequence) }],
      feeAmount,
      Number(gas),
      undefined,
      undefined,
    );
    const signDoc = makeSignDoc(bodyBytes, authInfoBytes, this.#client.chainId, Number(accountNumber));
    const signature = signDigest(sha256(makeSignBytes(signDoc)), this.#privateKey);
    const bytes = TxRaw.encode({ bodyBytes, authInfoBytes, signatures: [signature] }).finish();
    return { hash: Buffer.from(sha256(bytes)).toString("hex").toUpperCase(), bytes, timeoutHeight };
  }

  async #included(tx: SignedTx, signal?: AbortSignal): Promise<SentTx> {
    await this.#follower?.nextBlock(FIRST_WAIT_MS, signal);
    for (;;) {
      const outcome = await this.outcome(tx.hash, tx.timeoutHeight);
      if (outcome === "expired" || (outcome !== "pending" && isLate(outcome))) {
        this.#account = undefined;
        throw expired(tx);
      }
      if (outcome !== "pending") {
        if (outcome.code === 0) return outcome;
        const { code, codespace, log } = outcome;
        throw new KaratError("tx_refused", `A transaction failed in block ${outcome.height}: ${log}`, {
          code,
          codespace,
          log,
          hash: tx.hash,
        });
      }
      if (this.#follower) await this.#follower.nextBlock(NEXT_WAIT_MS, signal);
      else await sleep(POLL_MS, undefined, signal ? { signal } : {});
      signal?.throwIfAborted();
    }
  }

  async #readAccount(): Promise<{ accountNumber: bigint; sequence: bigint }> {
    const account = await this.#client.query.account(this.address);
    if (!account)
      throw new KaratError(
        "unknown_account",
        `The account ${this.address} does not exist yet; send it something first.`,
        { address: this.address },
      );
    return account;
  }

  /** The sequence that the mempool expects is ahead of the committed one while transactions are in flight. */
  async #resync(log: string): Promise<{ accountNumber: bigint; sequence: bigint }> {
    const account = await this.#readAccount();
    const expected = /expected (\d+)/.exec(log)?.[1];
    return expected === undefined ? account : { ...account, sequence: BigInt(expected) };
  }
}

/** Behind its timeout height. */
const isLate = ({ code, codespace }: Pick<TxResult, "code" | "codespace">): boolean =>
  codespace === "sdk" && code === TIMEOUT_HEIGHT;

const expired = ({ hash }: SignedTx): KaratError =>
  new KaratError("tx_expired", "The transaction was in no block before its timeout height.", { hash });

function sent(result: TxResult): SentTx {
  return {
    ...result,
    responses: result.code === 0 ? TxMsgData.decode(result.data).msgResponses.map((any) => any.value) : [],
  };
}

/** True when the error says that waiting and trying again is right. */
export const isTransient = (error: unknown): boolean => isKaratError(error, "chain_unavailable", "rpc_error");
