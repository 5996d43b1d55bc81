/** Who takes part in a simulation and what they remember. What the chain knows is read from its state. */
import { addressOfKey, DENOM, sha256, toHex, utf8 } from "@karat/common";
import type { inference, params, participant, verification } from "@karat/proto";
import { appState } from "../../chain/src/app/genesis.ts";
import type { Context } from "../../chain/src/app/module.ts";
import { type Message, type Signer, signerOf, signTx } from "../../chain/src/app/testing/index.ts";
import { ed25519Key } from "../../chain/src/engine/consensus/keys.ts";
import { consensusProof } from "../../chain/src/engine/consensus/proof.ts";
import { accountKeeper } from "../../chain/src/modules/auth/index.ts";
import { LOCALNET_PARAMS } from "../../chain/src/modules/params/index.ts";
import { participants } from "../../chain/src/modules/participant/keys.ts";
import { windowWanted } from "../../chain/src/modules/testing/values.ts";
import { checks, openDuties } from "../../chain/src/modules/verification/keys.ts";
import type { Random } from "./random.ts";

/** What an operator does of its own accord. */
export type Temper = "honest" | "cheat" | "lazy" | "liar";

export interface Operator {
  readonly index: number;
  readonly operator: Signer;
  readonly validator: Signer;
  readonly consensusKey: Uint8Array;
  readonly consensusProof: Uint8Array;
  readonly temper: Temper;
}

/** An inference as its parties know it. */
export interface Order {
  readonly id: Uint8Array;
  readonly record: inference.StartRecord;
  /** Operators. */
  readonly transferAgent: string;
  readonly executor: string;
  readonly promptTokens: number;
  /** Behind the prefix. */
  readonly maxOutputTokens: number;
  readonly full: boolean;
  readonly made: bigint;
  /** Of a part that goes on behind another: ids of the tokens before it. */
  readonly prefix?: readonly number[];
  state: "made" | "started" | "finished";
  finish?: inference.FinishRecord | undefined;
  /** The output is not what the model says: honest validators object. */
  bad: boolean;
  delivered?: inference.DeliveryRecord | undefined;
  /** The executor's key has signed another output for the transfer agent. */
  contradicted: boolean;
}

/** A transaction before it is signed; `free` goes through the protocol lane. */
export interface Plan {
  readonly signer: Signer;
  readonly messages: readonly Message[];
  readonly free?: boolean;
  readonly fee?: bigint;
  readonly gasLimit?: bigint;
  readonly memo?: string;
  readonly timeoutHeight?: bigint;
  readonly chainId?: string;
  /** Added to the sequence that is due. */
  readonly sequenceOff?: bigint;
  readonly accountNumberOff?: bigint;
}

export const KARAT = 1_000_000n;
export const MODELS = ["alpha", "beta"] as const;

/** Everything that takes days on a public network happens within a few blocks. */
export const SIMULATION_PARAMS: params.Params = {
  ...LOCALNET_PARAMS,
  epochBlocks: 8n,
  maxAnchorAge: 5n,
  inferenceDeadline: 6n,
  dutyDeadline: 6n,
  commitDeadline: 2n,
  refundLock: 4n,
  retentionBlocks: 30n,
  unbondingBlocks: 60n,
  claimEpochs: 1,
  banAfterConvictions: 2,
  emissionHalvingEpochs: 20,
  maxInlineBytes: 2_048,
  gainPerInference: 100n,
  reputationHalfTokens: 200n,
  secondLookMicros: 300_000,
  reputationGrowthCapMicros: 400_000,
  govMinDeposit: 100_000n,
  govDepositBlocks: 9n,
  govVotingBlocks: 10n,
  signedBlocksWindow: 12n,
  minSignedMicros: 600_000,
  downtimeJailBlocks: 8n,
  downtimeSlashBps: 100,
};

const CLIENTS = 6;
const GENESIS_OPERATORS = 6;
/** Orders that nobody ends are forgotten after so many blocks. */
const ORDER_AGE = 60n;
const TEMPERS: readonly { readonly weight: number; readonly value: Temper }[] = [
  { weight: 50, value: "honest" },
  { weight: 20, value: "cheat" },
  { weight: 15, value: "lazy" },
  { weight: 15, value: "liar" },
];

export class World {
  readonly random: Random;
  readonly chainId: string;
  readonly rich = signerOf("rich");
  readonly clients = Array.from({ length: CLIENTS }, (_, i) => signerOf(`client${i}`));
  readonly operators: Operator[] = [];
  readonly orders = new Map<string, Order>();
  /** Batches sent before, to be sent again. */
  readonly sent: Plan[] = [];
  /** Height of the block that is being made. */
  height = 0n;
  #ctx: Context | undefined;
  readonly #signers = new Map<string, Signer>();
  readonly #byOperator = new Map<string, Operator>();
  readonly #sequences = new Map<string, bigint>();
  #nonce = 0;

  constructor(chainId: string, random: Random) {
    this.chainId = chainId;
    this.random = random;
    for (const signer of [this.rich, ...this.clients]) this.know(signer);
    for (let i = 0; i < GENESIS_OPERATORS; i++) this.newOperator();
  }

  /** The committed state. */
  get ctx(): Context {
    if (this.#ctx === undefined) throw new Error("no block has begun");
    return this.#ctx;
  }

  /** Before a block is made: what is committed, and the height to come. */
  begin(ctx: Context, height: bigint): void {
    this.#ctx = ctx;
    this.height = height;
    this.#sequences.clear();
    for (const [name, order] of this.orders) if (order.made + ORDER_AGE < height) this.orders.delete(name);
  }

  appState(): Record<string, unknown> {
    return appState({
      chainId: this.chainId,
      accounts: [
        { address: this.rich.address, amount: 1_000_000_000n * KARAT },
        ...this.clients.map(({ address }) => ({ address, amount: 10_000n * KARAT })),
        ...this.operators.map(({ operator }) => ({ address: operator.address, amount: 1_000n * KARAT })),
      ],
      participants: this.operators.map((entry) => ({
        ...withoutProof(this.registration(entry)),
        collateral: 300n * KARAT,
      })),
      deposits: this.clients.slice(1).map(({ address }) => ({ client: address, available: 100_000n })),
      params: SIMULATION_PARAMS,
      models: MODELS.map((id) => ({
        id,
        weightsHash: sha256(utf8(id)),
        contextLength: 4_096,
        vocabularySize: 1_024,
        quantization: "f16",
        number: 0,
        detectionMicros: 0,
        embeddingDimensions: 0,
      })),
    });
  }

  newOperator(): Operator {
    const index = this.operators.length;
    const operator = signerOf(`operator${index}`);
    const key = ed25519Key(sha256(utf8(`simulated consensus key ${index}`)));
    const made: Operator = {
      index,
      operator,
      validator: signerOf(`validator${index}`),
      consensusKey: key.publicKey,
      consensusProof: consensusProof(key, this.chainId, operator.address),
      // Some of each, whatever the seed.
      temper: index < 4 ? (["honest", "cheat", "lazy", "liar"] as const)[index]! : this.random.weighted(TEMPERS),
    };
    this.operators.push(made);
    this.#byOperator.set(made.operator.address, made);
    this.know(made.operator);
    this.know(made.validator);
    return made;
  }

  /** What an operator registers with; its first node key. */
  registration({
    index,
    operator,
    validator,
    consensusKey,
    consensusProof,
  }: Operator): participant.MsgRegisterParticipant {
    const node = this.know(signerOf(`node${index}`));
    return {
      operator: operator.address,
      nodeKey: node.publicKey,
      validatorAddress: validator.address,
      consensusKey,
      consensusProof,
      url: `https://participant${index}.example`,
      collateral: BigInt(this.random.between(100, 400)) * KARAT,
      offers: this.offers(),
    };
  }

  offers(): participant.Offer[] {
    const models = this.random.percent(60) ? MODELS : [this.random.pick(MODELS)];
    return models.map((model) => ({
      model,
      inputPrice: BigInt(this.random.between(1, 5)),
      outputPrice: BigInt(this.random.between(1, 9)),
      capacity: BigInt(this.random.between(50, 300)),
    }));
  }

  know(signer: Signer): Signer {
    this.#signers.set(signer.address, signer);
    return signer;
  }

  /** Who has this public key, of those who ever had a part. */
  signerOf = (publicKey: Uint8Array): Signer | undefined => this.#signers.get(addressOfKey(publicKey));

  operatorOf = (address: string): Operator => this.#byOperator.get(address)!;

  /** Registered now, in order of operators. */
  participants(): participant.Participant[] {
    return Array.from(participants.entries(this.ctx.store("participant")), ([, entry]) => entry);
  }

  participant = (operator: string): participant.Participant | undefined =>
    participants.get(this.ctx.store("participant"), operator);

  /** The key that signs for a participant now; the first one where it is gone. */
  nodeOf(operator: string): Signer {
    const address = this.participant(operator)?.nodeAddress;
    return this.#signers.get(address ?? "") ?? signerOf(`node${this.operatorOf(operator).index}`);
  }

  /** Open duties by operator. */
  duties(): Map<string, verification.Check[]> {
    const store = this.ctx.store("verification");
    const found = new Map<string, verification.Check[]>();
    for (const [[operator, id]] of openDuties.entries(store)) {
      found.set(operator, [...(found.get(operator) ?? []), checks.get(store, id)!]);
    }
    return found;
  }

  /** One more than the window that a second look has opened, or 0. */
  windowOf = (check: verification.Check): number =>
    windowWanted(this.ctx, check, this.order(check.inferenceId)?.finish?.completionTokens ?? 0);

  order = (id: Uint8Array): Order | undefined => this.orders.get(toHex(id));

  ordersWhere(predicate: (order: Order) => boolean): Order[] {
    return [...this.orders.values()].filter(predicate);
  }

  nonce(): number {
    return this.#nonce++;
  }

  /** Signed with the sequences that follow, also within the block. */
  tx(plan: Plan): Uint8Array {
    const { signer, free = false, gasLimit = 8_000_000n, sequenceOff = 0n, accountNumberOff = 0n } = plan;
    const account = accountKeeper.get(this.ctx, signer.address);
    const sequence = this.#sequences.get(signer.address) ?? account?.sequence ?? 0n;
    if (sequenceOff === 0n) this.#sequences.set(signer.address, sequence + 1n);
    const fee = plan.fee ?? (free ? 0n : gasLimit / 40n);
    return signTx([signer], plan.messages, {
      chainId: plan.chainId ?? this.chainId,
      accounts: [
        {
          accountNumber: (account?.accountNumber ?? 0n) + accountNumberOff,
          sequence: sequence + sequenceOff,
        },
      ],
      fee: fee === 0n ? [] : [{ denom: DENOM, amount: fee.toString() }],
      gasLimit,
      ...(plan.memo !== undefined && { memo: plan.memo }),
      ...(plan.timeoutHeight !== undefined && { timeoutHeight: plan.timeoutHeight }),
    });
  }
}

/** Genesis needs no proofs: who agrees to it agrees to its keys. */
function withoutProof({ consensusProof: _, ...entry }: participant.MsgRegisterParticipant) {
  return entry;
}
