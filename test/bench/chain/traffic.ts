/** Records the blocks of a chain that serves requests: what a replaying node gets. Everything is signed and real. */
import { DENOM, sha256, signDigest, utf8 } from "@karat/common";
import { encodeSigned, inference, type OpenBatch, sign, typeUrls, verification } from "@karat/proto";
import { checkCommitment, DEFAULT_SAMPLING, executorOrder } from "@karat/rules";

import { TxMsgData } from "cosmjs-types/cosmos/base/abci/v1beta1/abci";
import type { ExecTxResult, RequestFinalizeBlock } from "cosmjs-types/tendermint/abci/types";
import {
  AppHarness,
  type HarnessOptions,
  type Signer,
  signerOf,
  TEST_MODEL,
  type TestParticipant,
} from "../../../chain/src/app/testing/index.ts";
import { createEpochKeeper } from "../../../chain/src/modules/epoch/keeper.ts";
import { LOCALNET_PARAMS } from "../../../chain/src/modules/params/index.ts";
import { compacted } from "../../../chain/src/modules/testing/numbers.ts";
import { valuesOf, windowOf, windowWanted } from "../../../chain/src/modules/testing/values.ts";
import { checks, openDuties } from "../../../chain/src/modules/verification/keys.ts";

/** What a block is there for. */
export type Kind = "send" | "start" | "finish" | "delivery" | "commitment" | "verdict" | "empty";

export interface RecordedBlock {
  readonly kind: Kind;
  /** Inferences, verdicts or transfers in it. */
  readonly records: number;
  readonly request: RequestFinalizeBlock;
}

const PARTICIPANTS = 8;
const CLIENTS = 16;
const SENDERS = 200;
const GAS = 10_000_000_000n;
/** What each validator commits to and then opens. */
const VALUES = valuesOf(TEST_MODEL.id, 300);
const OPENING = { valuesHash: VALUES.valuesHash, salt: new Uint8Array(16), gatedMargins: 1, positions: 300 };
const epochs = createEpochKeeper();
const signed = (bytes: Uint8Array, by: Signer) => signDigest(sha256(bytes), by.privateKey);

/** For the recording chain and for those that replay it. */
export const CHAIN: HarnessOptions = {
  participants: PARTICIPANTS,
  clients: CLIENTS,
  clientDeposit: 900_000_000n,
  accounts: Array.from({ length: SENDERS }, (_, i) => ({ address: signerOf(`sender${i}`).address, amount: 10n ** 9n })),
  // Reputation comes at once, so that the share of checked inferences is nearer to that of a chain that has run for long.
  params: { ...LOCALNET_PARAMS, reputationHalfTokens: 1n, reputationGrowthCapMicros: 1_000_000, gainPerInference: 1n },
  maxBlockGas: GAS,
  checkInvariants: false,
};

interface Open {
  readonly id: Uint8Array;
  readonly executor: TestParticipant;
  readonly agent: TestParticipant;
}

/** The chain that traffic is made for: one in this process, or a network of which this process holds a node. */
export interface TrafficChain
  extends Pick<AppHarness, "chainId" | "participants" | "clients" | "height" | "read" | "tx"> {
  /** Resolves when all of them are in blocks; the results in the same order. */
  commit(txs: readonly Uint8Array[], kind: Kind, records: number): Promise<readonly ExecTxResult[]>;
}

/** A chain without an engine that keeps its blocks. */
class RecordingHarness extends AppHarness implements TrafficChain {
  readonly blocks: RecordedBlock[] = [];

  async commit(txs: readonly Uint8Array[], kind: Kind, records: number): Promise<readonly ExecTxResult[]> {
    this.blocks.push({ kind, records, request: this.finalizeRequest(txs) });
    return this.deliver(txs).results;
  }
}

/** Makes the traffic of a chain that serves requests, one step after the other. */
export class Traffic {
  readonly #harness: TrafficChain;
  readonly #senders = Array.from({ length: SENDERS }, (_, i) => signerOf(`sender${i}`));
  #nonce: number;

  /** Several of one chain need nonces that do not meet. */
  constructor(chain: TrafficChain, firstNonce = 0) {
    this.#harness = chain;
    this.#nonce = firstNonce;
  }

  async empty(count: number): Promise<void> {
    for (let i = 0; i < count; i++) await this.#block("empty", 0, []);
  }

  /** The baseline: one transfer, one signature, one transaction. */
  async sends(count: number): Promise<void> {
    const txs = Array.from({ length: count }, (_, i) => {
      const from = this.#senders[i % SENDERS]!;
      const amount = [{ denom: DENOM, amount: "1" }];
      const value = { fromAddress: from.address, toAddress: this.#senders[(i + 1) % SENDERS]!.address, amount };
      const message = { typeUrl: "/cosmos.bank.v1beta1.MsgSend", value };
      return this.#harness.tx(from, message, { gasLimit: 100_000n, fee: 2_500n });
    });
    await this.#block("send", count, txs);
  }

  /** `count` inferences in batches of `batch`: started, finished, delivered, and what is drawn of them checked. */
  async round(count: number, batch: number): Promise<void> {
    await this.serve(count, batch);
    await this.judge(batch);
  }

  /** Started, finished, delivered. */
  async serve(count: number, batch: number): Promise<void> {
    const started = await this.#start(count, batch);
    await this.#finish(started, batch);
    await this.#deliver(started, batch);
  }

  async #start(count: number, batch: number): Promise<Open[]> {
    const { participants, height: anchorHeight } = this.#harness;
    const made = Array.from({ length: count }, (_, i) => this.#order(participants[i % PARTICIPANTS]!, anchorHeight));
    const txs = grouped(made, ({ open }) => open.executor, batch).map(([executor, group]) =>
      this.#records(executor, { starts: group.map(({ record }) => record) }),
    );
    await this.#block("start", count, txs);
    return made.map(({ open }) => open);
  }

  #order(agent: TestParticipant, anchorHeight: bigint): { open: Open; record: inference.StartRecord } {
    const { chainId, clients, height } = this.#harness;
    const nonce = this.#nonce++;
    const client = clients[nonce % CLIENTS]!;
    const authorization = encodeSigned("authorization", {
      chainId,
      client: client.address,
      key: client.publicKey,
      model: TEST_MODEL.id,
      requestHash: sha256(utf8(`request ${nonce}`)),
      maxInputTokens: 1_000,
      maxOutputTokens: 1_000,
      maxInputPrice: 1n,
      maxOutputPrice: 2n,
      sampling: { ...DEFAULT_SAMPLING },
      nonce: sha256(utf8(String(nonce))).subarray(0, 8),
      anchorHeight,
      transferAgent: agent.operator.address,
      recording: sign.RecordingMode.COMMIT,
    });
    const id = sha256(authorization);
    const drawn = this.#harness.read((ctx) => {
      const offer = { model: TEST_MODEL.id, anchorHeight, maxInputPrice: 1n, maxOutputPrice: 2n };
      return executorOrder(epochs.beacon(ctx, anchorHeight)!, id, epochs.candidates(ctx, offer), 1)[0]!;
    });
    const executor = this.#harness.participants.find(({ operator }) => operator.address === drawn)!;
    const receipt = encodeSigned("receipt", {
      chainId,
      inferenceId: id,
      attempt: 0,
      executor: drawn,
      promptTokens: 200,
      deadlineHeight: height + 50n,
    });
    const record: inference.StartRecord = {
      authorization,
      signature: signed(authorization, client),
      receipt,
      receiptSignature: signed(receipt, executor.node),
      skips: [],
      request: new Uint8Array(),
      prefix: undefined,
    };
    return { open: { id, executor, agent }, record };
  }

  async #finish(orders: readonly Open[], batch: number): Promise<void> {
    const txs = grouped(orders, ({ executor }) => executor, batch).map(([executor, group]) => {
      const finishes = group.map(({ id }) => ({ record: finishOf(id, executor), root: sha256(id), inline: false }));
      return this.#records(executor, { finishes });
    });
    await this.#block("finish", orders.length, txs);
  }

  async #deliver(orders: readonly Open[], batch: number): Promise<void> {
    const txs = grouped(orders, ({ agent }) => agent, batch).map(([agent, group]) =>
      this.#records(agent, { delivered: group.map(({ id }) => id) }),
    );
    await this.#block("delivery", orders.length, txs);
  }

  /** Verdicts on all open duties of the chain; not for two of one chain at the same time. */
  async judge(batch: number): Promise<void> {
    const { participants } = this.#harness;
    const open = this.#harness.read((ctx) => Array.from(openDuties.entries(ctx.store("verification")), ([key]) => key));
    const txs = grouped(open, ([operator]) => operator, batch).map(([operator, group]) => {
      const { validator } = participants.find((each) => each.operator.address === operator)!;
      const commitments = group.map(([validatorOf, inferenceId]) => {
        const values = { chainId: this.#harness.chainId, inferenceId, validator: validatorOf, ...OPENING };
        return { inferenceId, commitment: checkCommitment(values) };
      });
      const verdicts = () =>
        group.map(
          ([, inferenceId]): verification.VerdictRecord => ({
            inferenceId,
            verdict: verification.Verdict.VALID,
            pBucket: 1,
            distanceMicros: 12_345n,
            evidenceHash: sha256(inferenceId),
            ...OPENING,
            window: windowOf(VALUES, this.#windowOf(inferenceId)),
          }),
        );
      return {
        commit: this.#batch(validator, typeUrls.commitChecks, { commitments }),
        reveal: () => this.#batch(validator, typeUrls.submitVerdicts, { verdicts: verdicts() }),
      };
    });
    const commits = txs.map(({ commit }) => commit);
    await this.#block("commitment", open.length, commits);
    const reveals = txs.map(({ reveal }) => reveal());
    await this.#block("verdict", open.length, reveals);
  }

  /** One more than the window that a second look has opened, or 0. */
  #windowOf = (inferenceId: Uint8Array): number =>
    this.#harness.read((ctx) => windowWanted(ctx, checks.get(ctx.store("verification"), inferenceId)!, 300));

  #records({ node, operator }: TestParticipant, batch: Omit<OpenBatch, "sender" | "operator">): Uint8Array {
    const open = { sender: node.address, operator: operator.address, ...batch };
    return this.#batch(
      node,
      typeUrls.records,
      this.#harness.read((ctx) => compacted(ctx, open)),
    );
  }

  #batch(signer: Signer, typeUrl: string, value: object): Uint8Array {
    const message = { typeUrl, value: { sender: signer.address, ...value } };
    return this.#harness.tx(signer, message, { free: true, gasLimit: GAS });
  }

  /** Throws where a transaction or a record is refused: a benchmark of refusals would be fast. */
  async #block(kind: Kind, records: number, txs: readonly Uint8Array[]): Promise<void> {
    for (const { code, log, data } of await this.#harness.commit(txs, kind, records)) {
      if (code !== 0) throw new Error(`${kind}: ${log}`);
      if (kind === "send") continue;
      const { typeUrl, value } = TxMsgData.decode(data).msgResponses[0]!;
      const refused = typeUrl.endsWith("MsgRecordsResponse")
        ? inference.MsgRecordsResponse.decode(value).refusals[0]
        : verification.MsgSubmitVerdictsResponse.decode(value).results.find((result) => result.code !== 0);
      if (refused !== undefined) throw new Error(`${kind}: ${refused.log}`);
    }
  }
}

/** A fresh recording chain and its traffic. */
export async function recorder(): Promise<{ traffic: Traffic; blocks: readonly RecordedBlock[] }> {
  const chain = new RecordingHarness(CHAIN);
  const traffic = new Traffic(chain);
  await traffic.empty(2);
  return { traffic, blocks: chain.blocks };
}

const NONE = new Uint8Array();

const finishOf = (inferenceId: Uint8Array, { operator }: TestParticipant): inference.FinishRecord => ({
  inferenceId,
  executor: operator.address,
  outputHash: NONE,
  artifactRoot: NONE,
  promptHash: NONE,
  promptTokens: 200,
  receiptPromptTokens: 200,
  completionTokens: 300,
  finishReason: sign.FinishReason.STOP,
  output: NONE,
  tokenIds: [],
  artifact: NONE,
  prefixTokenIds: [],
  error: "",
});

/** By key, in groups of at most `size`. */
function grouped<T, K>(items: readonly T[], keyOf: (item: T) => K, size: number): [K, T[]][] {
  const groups: [K, T[]][] = [];
  const filling = new Map<K, T[]>();
  for (const item of items) {
    const key = keyOf(item);
    const group = filling.get(key);
    if (group !== undefined && group.length < size) {
      group.push(item);
      continue;
    }
    const fresh = [item];
    filling.set(key, fresh);
    groups.push([key, fresh]);
  }
  return groups;
}
