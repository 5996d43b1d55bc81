import { sha256, signDigest, utf8 } from "@karat/common";
import {
  deposit,
  encodeSigned,
  epoch,
  inference,
  type OpenBatch,
  reward,
  sign,
  typeUrls,
  verification,
} from "@karat/proto";
import { checkCommitment, DEFAULT_SAMPLING, drawWeight, executorOrder } from "@karat/rules";
import { QueryBalanceRequest, QueryBalanceResponse } from "cosmjs-types/cosmos/bank/v1beta1/query";
import { TxMsgData } from "cosmjs-types/cosmos/base/abci/v1beta1/abci";
import { AppHarness, type Block, type Signer, TEST_MODEL, type TestParticipant } from "../../app/testing/index.ts";
import { LOCALNET_PARAMS } from "../params/index.ts";
import { compacted, openFinish } from "./numbers.ts";
import { valuesOf, windowOf } from "./values.ts";

export const DEPOSITED = 1_000_000n;
/** Of every inference here: 20 prompt tokens at 1 and 40 output tokens at 2. */
export const COST = 100n;
const TOKENS = 40;
const ANSWER = "The capital of France is Paris.";

/** What API nodes, sidecars and a client do, with public data only. */
export class Players {
  readonly harness: AppHarness;
  readonly client: Signer;
  readonly #byOperator: ReadonlyMap<string, TestParticipant>;
  /** Events of every block so far: type and attributes. */
  readonly events: { type: string; attributes: Record<string, string> }[] = [];
  #nonce = 0;

  constructor(participants: number) {
    this.harness = new AppHarness({ participants, clients: 1, clientDeposit: DEPOSITED, params: LOCALNET_PARAMS });
    this.client = this.harness.clients[0]!;
    this.#byOperator = new Map(this.harness.participants.map((each) => [each.operator.address, each]));
  }

  participant = (operator: string): TestParticipant => this.#byOperator.get(operator)!;
  get transferAgent(): TestParticipant {
    return this.harness.participants[0]!;
  }

  blocks(count = 1): void {
    for (let i = 0; i < count; i++) this.#keep(this.harness.deliver());
  }

  /** One message in a block of its own, in the protocol lane. Throws where it or one of its records is refused. */
  send(signer: Signer, typeUrl: string, value: object): void {
    const block = this.harness.deliver([this.harness.tx(signer, { typeUrl, value }, { free: true })]);
    this.#keep(block);
    const { code, codespace, log, data } = block.results[0]!;
    if (code !== 0) throw new Error(`${typeUrl}: ${codespace} ${code} ${log}`);
    const response = TxMsgData.decode(data).msgResponses[0]!;
    if (typeUrl === typeUrls.claimRewards) return;
    const refused =
      typeUrl === typeUrls.records
        ? inference.MsgRecordsResponse.decode(response.value).refusals[0]
        : verification.MsgSubmitVerdictsResponse.decode(response.value).results.find((result) => result.code !== 0);
    if (refused !== undefined) throw new Error(`${typeUrl}: ${refused.code} ${refused.log}`);
  }

  #keep(block: Block): void {
    for (const { type, attributes } of [...block.results.flatMap((result) => result.events), ...block.events]) {
      this.events.push({ type, attributes: Object.fromEntries(attributes.map(({ key, value }) => [key, value])) });
    }
  }

  eventsOf = (type: string): Record<string, string>[] =>
    this.events.filter((event) => event.type === type).map(({ attributes }) => attributes);

  /** The running one, or that of a number. */
  epoch(number?: bigint): epoch.Epoch {
    const { QueryCurrentEpochRequest, QueryEpochRequest, QueryEpochResponse } = epoch;
    const path = `/karat.epoch.v1.Query/${number === undefined ? "CurrentEpoch" : "Epoch"}`;
    return number === undefined
      ? this.harness.query(path, QueryCurrentEpochRequest, QueryEpochResponse, {}).epoch!
      : this.harness.query(path, QueryEpochRequest, QueryEpochResponse, { number }).epoch!;
  }

  /** The order that everybody can compute from the anchor's beacon. */
  order(id: Uint8Array, anchor: bigint): string[] {
    const path = "/karat.epoch.v1.Query/Beacon";
    const request = { height: anchor };
    const { beacon } = this.harness.query(path, epoch.QueryBeaconRequest, epoch.QueryBeaconResponse, request);
    const drawn = this.epoch().members.filter((m) => m.excludedHeight === 0n || anchor < m.excludedHeight);
    return executorOrder(
      beacon,
      id,
      drawn.map((member) => ({ id: member.operator, weight: drawWeight(member, anchor) })),
    );
  }

  /** An order signed by the client, started, finished and delivered. */
  serve(executorWanted?: string, answerSent = ANSWER): { id: Uint8Array; executor: string } {
    const anchorHeight = this.harness.height;
    for (;;) {
      const request = utf8(`{"messages":[],"nonce":${this.#nonce++}}`);
      const authorization = encodeSigned("authorization", {
        chainId: this.harness.chainId,
        client: this.client.address,
        key: this.client.publicKey,
        model: TEST_MODEL.id,
        requestHash: sha256(request),
        maxInputTokens: 100,
        maxOutputTokens: 1_000,
        maxInputPrice: 1n,
        maxOutputPrice: 2n,
        sampling: { ...DEFAULT_SAMPLING },
        nonce: utf8(String(this.#nonce)),
        anchorHeight,
        transferAgent: this.transferAgent.operator.address,
        recording: sign.RecordingMode.FULL,
      });
      const id = sha256(authorization);
      const executor = this.order(id, anchorHeight)[0]!;
      if (executorWanted !== undefined && executor !== executorWanted) continue;
      this.#record(id, executor, authorization, request, answerSent);
      return { id, executor };
    }
  }

  #record(id: Uint8Array, executor: string, authorization: Uint8Array, request: Uint8Array, answerSent: string): void {
    const { chainId, height } = this.harness;
    const node = this.participant(executor).node;
    const signed = (bytes: Uint8Array, by: Signer) => signDigest(sha256(bytes), by.privateKey);
    const receipt = encodeSigned("receipt", {
      chainId,
      inferenceId: id,
      attempt: 0,
      executor,
      promptTokens: 20,
      deadlineHeight: height + 50n,
    });
    const start: inference.StartRecord = {
      authorization,
      signature: signed(authorization, this.client),
      receipt,
      receiptSignature: signed(receipt, node),
      skips: [],
      request,
      prefix: undefined,
    };
    this.record(this.participant(executor), { starts: [start] });
    const output = utf8(ANSWER);
    const content = {
      outputHash: sha256(output),
      artifactRoot: sha256(utf8("root")),
      promptHash: sha256(utf8("prompt")),
      promptTokens: 20,
      completionTokens: TOKENS,
      finishReason: sign.FinishReason.STOP,
    };
    const finish: inference.FinishRecord = {
      ...content,
      inferenceId: id,
      output,
      tokenIds: new Array(TOKENS).fill(7),
      artifact: new Uint8Array(100),
      prefixTokenIds: [],
      error: "",
      executor,
      receiptPromptTokens: 20,
    };
    this.record(this.participant(executor), { finishes: [openFinish(chainId, finish)] });
    if (answerSent === ANSWER) {
      this.record(this.transferAgent, { delivered: [id] });
      return;
    }
    const outputHash = sha256(utf8(answerSent));
    const response = encodeSigned("response", { ...content, outputHash, chainId, inferenceId: id, executor });
    const delivery: inference.DeliveryRecord = {
      inferenceId: id,
      root: new Uint8Array(),
      complete: true,
      response,
      responseSignature: signed(response, node),
    };
    this.record(this.transferAgent, { deliveries: [delivery] });
  }

  /** What a participant's node has to record. */
  record({ operator, node }: TestParticipant, batch: Omit<OpenBatch, "sender" | "operator">): void {
    const open = { sender: node.address, operator: operator.address, ...batch };
    this.send(
      node,
      typeUrls.records,
      this.harness.read((ctx) => compacted(ctx, open)),
    );
  }

  /** Everybody with an open duty answers; how many did. */
  judge(verdict: verification.Verdict): number {
    let answered = 0;
    const { chainId } = this.harness;
    const openDuties = this.harness.participants.map(({ operator, validator }) => {
      const request = { validator: operator.address, limit: 0 };
      const { duties } = this.harness.query(
        "/karat.verification.v1.Query/PendingDuties",
        verification.QueryPendingDutiesRequest,
        verification.QueryPendingDutiesResponse,
        request,
      );
      const ids = duties.map(({ inferenceId }) => inferenceId);
      if (ids.length > 0) {
        const commitments = ids.map((inferenceId) => {
          const values = { chainId, inferenceId, validator: operator.address, ...openingOf(inferenceId) };
          return { inferenceId, commitment: checkCommitment(values) };
        });
        this.send(validator, typeUrls.commitChecks, { sender: validator.address, commitments });
      }
      return { validator, ids };
    });
    // Windows are drawn with the block of the last commitment.
    this.blocks();
    for (const { validator, ids } of openDuties) {
      if (ids.length === 0) continue;
      const verdicts = ids.map((inferenceId) =>
        verification.VerdictRecord.fromPartial({
          inferenceId,
          verdict,
          evidenceHash: sha256(inferenceId),
          ...openingOf(inferenceId),
          window: windowOf(VALUES, this.#checkOf(inferenceId).window),
        }),
      );
      this.send(validator, typeUrls.submitVerdicts, { sender: validator.address, verdicts });
      answered += ids.length;
    }
    return answered;
  }

  inference(id: Uint8Array): inference.Inference {
    const path = "/karat.inference.v1.Query/Inference";
    const { QueryInferenceRequest, QueryInferenceResponse } = inference;
    return this.harness.query(path, QueryInferenceRequest, QueryInferenceResponse, { id }).inference!;
  }

  check(inferenceId: Uint8Array): verification.Check {
    return this.#checkOf(inferenceId).check!;
  }

  #checkOf(inferenceId: Uint8Array): verification.QueryCheckResponse {
    const path = "/karat.verification.v1.Query/Check";
    const { QueryCheckRequest, QueryCheckResponse } = verification;
    return this.harness.query(path, QueryCheckRequest, QueryCheckResponse, { inferenceId });
  }

  deposit(): deposit.Deposit {
    const path = "/karat.deposit.v1.Query/Deposit";
    const { QueryDepositRequest, QueryDepositResponse } = deposit;
    return this.harness.query(path, QueryDepositRequest, QueryDepositResponse, { client: this.client.address })
      .deposit!;
  }

  balance(address: string): bigint {
    const path = "/cosmos.bank.v1beta1.Query/Balance";
    const request = { address, denom: "ukarat" };
    return BigInt(this.harness.query(path, QueryBalanceRequest, QueryBalanceResponse, request).balance?.amount ?? "0");
  }

  reward(epochNumber: bigint, participant: string): reward.EpochReward {
    const path = "/karat.reward.v1.Query/EpochReward";
    const { QueryEpochRewardRequest, QueryEpochRewardResponse } = reward;
    const request = { epoch: epochNumber, participant };
    return this.harness.query(path, QueryEpochRewardRequest, QueryEpochRewardResponse, request).reward!;
  }

  toNextEpoch(): void {
    const { number } = this.epoch();
    while (this.epoch().number === number) this.blocks();
  }
}

const VALUES = valuesOf(TEST_MODEL.id, TOKENS);
const openingOf = (salt: Uint8Array) => ({
  valuesHash: VALUES.valuesHash,
  positions: TOKENS,
  salt,
  gatedMargins: 0,
});
