import { type Logger, messageOf, sha256, toHex } from "@karat/common";
import { TxMsgData } from "cosmjs-types/cosmos/base/abci/v1beta1/abci";
import type { Any } from "cosmjs-types/google/protobuf/any";
import { type AnteDeps, type Lane, runAnte, signingKeyOf } from "./ante.ts";
import { type BlockInfo, meteredContext } from "./context.ts";
import { ChainError, isChainError, SDK } from "./errors.ts";
import { LimitedGas, QUERY_GAS_LIMIT } from "./gas.ts";
import type { ChainEvent, Context } from "./module.ts";
import type { Offer } from "./priority.ts";
import type { Router } from "./router.ts";
import type { SignatureCheck } from "./signatures/verified.ts";
import type { State } from "./state.ts";
import { BoundedCache } from "./tx/cache.ts";
import { type DecodedTx, decodeTx } from "./tx/decode.ts";
import { SignatureVerifier } from "./tx/signatures.ts";

/** `check`: what happens before the messages only. `simulate`: everything, without signatures and fee minimum. */
export type Mode = "check" | "deliver" | "simulate";

/** Signatures of transactions by their signers, and of what parties signed inside the messages. */
export type SignaturePart = "transactions" | "records";

export interface TxOutcome {
  /** 0 when everything went well. */
  readonly code: number;
  readonly codespace: string;
  readonly log: string;
  /** TxMsgData of the responses; empty on failure. */
  readonly data: Uint8Array;
  readonly responses: readonly Any[];
  readonly gasWanted: bigint;
  readonly gasUsed: bigint;
  readonly events: readonly ChainEvent[];
  /** Undefined where the transaction did not get through the ante. */
  readonly lane: Lane | undefined;
  readonly signers: readonly string[];
}

const NOTHING = new Uint8Array();
/** Bytes of decoded transactions kept between CheckTx and the block. */
const DECODED_CAPACITY = 16 * 1024 * 1024;

/**
 * Runs transactions on a state. Expected failures (ChainError) are outcomes. Anything else is thrown on, because a state
 * that was computed by faulty code must not be committed; but not from `check`, which commits nothing: there it refuses
 * the transaction, so that nobody can stop the network with one that only had to be looked at.
 */
export class TxRunner {
  readonly #router: Router;
  readonly #ante: AnteDeps;
  readonly #verifier: SignatureVerifier;
  readonly #log: Logger;
  readonly #decoded = new BoundedCache<DecodedTx>(DECODED_CAPACITY);

  constructor(router: Router, ante: AnteDeps, chainId: string, log: Logger) {
    this.#log = log;
    this.#router = router;
    this.#ante = ante;
    this.#verifier = new SignatureVerifier(chainId);
  }

  /** The outcome; the writes are on `state`. `maxGas` is what a block may hold. */
  run(mode: Mode, bytes: Uint8Array, state: State, block: BlockInfo, maxGas: bigint): TxOutcome {
    try {
      return this.#run(mode, bytes, state, block, maxGas);
    } catch (error) {
      if (mode !== "check") throw error;
      this.#log.error({ tx: toHex(sha256(bytes)), error: messageOf(error) }, "a transaction met a fault");
      return failure(new ChainError(SDK.logic, "the transaction met a fault of this node"), 0n, 0n, [], undefined, []);
    }
  }

  /**
   * The signatures that the transaction will be asked for, its own and those of the records inside, as far as they can be
   * told from `ctx` without executing anything. Never throws: what cannot be told is left to the execution.
   */
  signatureChecks(bytes: Uint8Array, ctx: Context, parts: readonly SignaturePart[]): SignatureCheck[] {
    try {
      const tx = this.#decode(bytes);
      return [
        ...(parts.includes("transactions") ? this.#ownChecks(tx, ctx) : []),
        ...(parts.includes("records")
          ? tx.messages.flatMap(({ handler, value }) => [...(handler.signatures?.(ctx, value) ?? [])])
          : []),
      ];
    } catch (error) {
      if (!isChainError(error)) {
        this.#log.error({ error: messageOf(error) }, "the signatures of a transaction cannot be told ahead");
      }
      return [];
    }
  }

  #ownChecks(tx: DecodedTx, ctx: Context): SignatureCheck[] {
    return tx.signers.flatMap((signer, index) => {
      const account = this.#ante.accounts.get(ctx, signer);
      const info = tx.authInfo.signerInfos[index]!;
      const publicKey = account && signingKeyOf(account, info.publicKey);
      if (account === undefined || publicKey === undefined) return [];
      return [this.#verifier.check(tx, index, { ...account, sequence: info.sequence }, publicKey)];
    });
  }

  #run(mode: Mode, bytes: Uint8Array, state: State, block: BlockInfo, maxGas: bigint): TxOutcome {
    let tx: DecodedTx;
    try {
      tx = this.#decode(bytes);
    } catch (error) {
      return failure(error, 0n, 0n, [], undefined, []);
    }
    const gasWanted = tx.fee.gasLimit;
    const gas = new LimitedGas(mode === "simulate" ? QUERY_GAS_LIMIT : gasWanted);
    const events: ChainEvent[] = [];
    const before = state.branch();
    let lane: Lane;
    try {
      const ctx = meteredContext(block, before, gas, events);
      lane = runAnte(ctx, tx, this.#ante, this.#verifier, { simulate: mode === "simulate", maxGas });
    } catch (error) {
      return failure(error, gasWanted, gas.used, [], undefined, tx.signers);
    }
    before.flushTo(state);
    if (mode === "check") {
      return { ...success(gasWanted, gas.used, events, lane, tx.signers), data: NOTHING, responses: [] };
    }
    const inside = state.branch();
    const messageEvents: ChainEvent[] = [];
    try {
      const responses = this.#runMessages(tx, inside, block, gas, messageEvents);
      inside.flushTo(state);
      return {
        ...success(gasWanted, gas.used, [...events, ...messageEvents], lane, tx.signers),
        data: TxMsgData.encode(TxMsgData.fromPartial({ msgResponses: responses })).finish(),
        responses,
      };
    } catch (error) {
      return failure(error, gasWanted, gas.used, events, lane, tx.signers);
    }
  }

  /** What a transaction says it pays; undefined for bytes that are none. */
  offerOf(bytes: Uint8Array): Offer | undefined {
    try {
      const { signers, fee } = this.#decode(bytes);
      // More than one coin, or another one, is refused by the ante: whatever it says, it buys nothing.
      const amount = fee.amount[0]?.amount ?? "0";
      return { signers, fee: /^\d{1,19}$/.test(amount) ? BigInt(amount) : 0n, gasLimit: fee.gasLimit };
    } catch (error) {
      if (!isChainError(error)) throw error;
      return undefined;
    }
  }

  /** Throws ChainError. A transaction that is in order is remembered: it comes again with every phase of its block. */
  #decode(bytes: Uint8Array): DecodedTx {
    const key = toHex(sha256(bytes));
    const known = this.#decoded.get(key);
    if (known !== undefined) return known;
    const tx = decodeTx(bytes, this.#router);
    this.#decoded.set(key, tx, bytes.length);
    return tx;
  }

  #runMessages(tx: DecodedTx, state: State, block: BlockInfo, gas: LimitedGas, events: ChainEvent[]): Any[] {
    return tx.messages.map(({ typeUrl, module, handler, value }, index) => {
      const own: ChainEvent[] = [];
      const ctx = meteredContext(block, state, gas, own);
      const sender = handler.signers(value)[0]!;
      ctx.emit("message", { action: typeUrl, sender, module });
      let response: object;
      try {
        response = handler.execute(ctx, value);
      } catch (error) {
        if (isChainError(error)) error.message = `failed to execute message; message index: ${index}: ${error.message}`;
        throw error;
      }
      for (const event of own) {
        event.attributes.push({ key: "msg_index", value: String(index), index: true });
        events.push(event);
      }
      return { typeUrl: handler.response.typeUrl, value: handler.response.encode(response).finish() };
    });
  }
}

function success(
  gasWanted: bigint,
  gasUsed: bigint,
  events: readonly ChainEvent[],
  lane: Lane,
  signers: readonly string[],
): Omit<TxOutcome, "data" | "responses"> {
  return { code: 0, codespace: "", log: "", gasWanted, gasUsed, events, lane, signers };
}

/** The outcome of an expected failure; throws what was not expected. */
function failure(
  error: unknown,
  gasWanted: bigint,
  gasUsed: bigint,
  events: readonly ChainEvent[],
  lane: Lane | undefined,
  signers: readonly string[],
): TxOutcome {
  if (!isChainError(error)) throw error;
  const { code, codespace, message }: ChainError = error;
  return { code, codespace, log: message, data: NOTHING, responses: [], gasWanted, gasUsed, events, lane, signers };
}
