/**
 * Participants that serve a client, for tests of the modules that record, check and judge: real params, participants,
 * deposits, inferences, checks and standings; epochs and rewards are stand-ins that the test moves and reads.
 */
import { sha256, signDigest, utf8 } from "@karat/common";
import {
  encodeSigned,
  type inference,
  type OpenBatch,
  type params,
  reputation,
  sign,
  verification,
} from "@karat/proto";
import { checkCommitment, DEFAULT_SAMPLING, executorOrder } from "@karat/rules";
import { accountKeeper } from "../auth/index.ts";
import { createDepositModule } from "../deposit/index.ts";
import { createInferenceModule } from "../inference/index.ts";
import { whole } from "../inference/keeper.ts";
import { createParamsModule, LOCALNET_PARAMS } from "../params/index.ts";
import { createParticipantModule } from "../participant/index.ts";
import { createReputationModule } from "../reputation/index.ts";
import { createVerificationModule } from "../verification/index.ts";
import { isCommitting, isConvened, owesWindow } from "../verification/transition.ts";
import { memoryBank } from "./bank.ts";
import { TestChain } from "./context.ts";
import { keyNamed, registrationOf, type TestKey } from "./identities.ts";
import { codesOf, compacted, openFinish } from "./numbers.ts";
import { finishOf, PROMPT_TOKENS, type Request } from "./records.ts";
import { StandInEpochs, StandInRewards } from "./standIns.ts";
import { type OwnValues, valuesOf, windowOf } from "./values.ts";

export const MODEL = "tiny";
export const PRICE = { input: 2n, output: 5n };
export const MAX_OUTPUT = 100;
export const DEPOSITED = 1_000_000n;

const { RecordingMode } = sign;
const Verdict = verification.Verdict;

export type AuthorizationFields = Omit<sign.RequestAuthorization, "domain">;

export interface RequestOptions {
  readonly authorization?: Partial<AuthorizationFields>;
  readonly receipt?: Partial<Omit<sign.Receipt, "domain">>;
  readonly record?: Partial<inference.StartRecord>;
  /** Place in the draw that takes the request. */
  readonly attempt?: number;
  /** Operator that must be drawn: nonces are tried until it is. */
  readonly executor?: string;
  readonly signer?: TestKey;
  readonly receiptSigner?: TestKey;
}

export class TestNetwork {
  readonly chain = new TestChain({ height: 50n });
  readonly client = keyNamed("client");
  /** Operator addresses. */
  readonly operators: readonly string[];
  /** Faces the client; the first participant. */
  readonly transferAgent: string;
  readonly accounts = accountKeeper;
  readonly params = createParamsModule();
  readonly epochs = new StandInEpochs(this.chain);
  readonly participants = createParticipantModule({ bank: memoryBank, params: this.params, epochs: this.epochs });
  readonly deposits = createDepositModule({ bank: memoryBank, params: this.params });
  readonly rewards = new StandInRewards();
  readonly reputation = createReputationModule(this);
  readonly inferences = createInferenceModule(this);
  readonly verification = createVerificationModule(this);
  /** Operators that compute nothing and commit to values of their own invention. */
  readonly inventors = new Set<string>();
  /** Operators that open no window. */
  readonly withholders = new Set<string>();
  readonly #names = new Map<string, string>();
  #nonce = 0;

  constructor(
    names: readonly string[] = ["ann", "bob", "cid", "dan", "eve", "fay"],
    change: Partial<params.Params> = {},
  ) {
    const { chain } = this;
    this.setParams({ ...change });
    this.params.setModel(chain.ctx, {
      id: MODEL,
      weightsHash: new Uint8Array(32).fill(1),
      contextLength: 2048,
      vocabularySize: 1000,
      quantization: "f16",
      number: 0,
      detectionMicros: 0,
      embeddingDimensions: 0,
    });
    const { address, publicKey } = this.client;
    this.accounts.set(chain.ctx, { ...this.accounts.ensure(chain.ctx, address), publicKey });
    this.operators = names.map((name) => {
      const registration = registrationOf(name);
      memoryBank.mint(chain.ctx, registration.operator, registration.collateral);
      chain.deliver(this.participants, "/karat.participant.v1.MsgRegisterParticipant", registration);
      this.#names.set(registration.operator, name);
      return registration.operator;
    });
    this.transferAgent = this.operators[0]!;
    this.epochs.setMembers(this.operators.map((operator) => this.participants.byOperator(chain.ctx, operator)!));
    memoryBank.mint(chain.ctx, this.client.address, DEPOSITED);
    chain.deliver(this.deposits, "/karat.deposit.v1.MsgDeposit", {
      sender: this.client.address,
      client: "",
      amount: DEPOSITED,
    });
  }

  setParams(change: Partial<params.Params>): void {
    // A check ends with its verdict where a test does not ask for second looks.
    this.params.set(this.chain.ctx, { ...LOCALNET_PARAMS, secondLookMicros: 0, ...change });
  }

  nodeKey = (operator: string): TestKey => keyNamed(`${this.#names.get(operator)} node`);
  validatorKey = (operator: string): TestKey => keyNamed(`${this.#names.get(operator)} validator`);

  /** An order of the client with the receipt of the executor that the draw names. */
  request(options: RequestOptions = {}): Request {
    for (;;) {
      const made = this.#requestOnce(options, this.#nonce++);
      if (options.executor === undefined || made.executor === options.executor) return made;
    }
  }

  /** Everybody in the order that the beacon of `anchor` gives. */
  drawOrder(id: Uint8Array, anchor: bigint): string[] {
    return executorOrder(this.epochs.beaconOf(anchor), id, this.epochs.everybody(anchor));
  }

  #requestOnce(options: RequestOptions, nonce: number): Request {
    const { chain } = this;
    const request = utf8(`{"nonce":${nonce}}`);
    const recording = options.authorization?.recording ?? RecordingMode.FULL;
    const authorization: AuthorizationFields = {
      chainId: chain.chainId,
      client: this.client.address,
      key: this.client.publicKey,
      model: MODEL,
      requestHash: sha256(request),
      maxInputTokens: 64,
      maxOutputTokens: MAX_OUTPUT,
      maxInputPrice: PRICE.input,
      maxOutputPrice: PRICE.output,
      sampling: { ...DEFAULT_SAMPLING },
      nonce: utf8(String(nonce)),
      anchorHeight: chain.height - 1n,
      transferAgent: this.transferAgent,
      recording,
      ...options.authorization,
    };
    const bytes = encodeSigned("authorization", authorization);
    const id = sha256(bytes);
    const attempt = options.attempt ?? 0;
    const order = this.drawOrder(id, authorization.anchorHeight);
    const executor = options.receipt?.executor ?? order[attempt] ?? this.transferAgent;
    const receipt = encodeSigned("receipt", {
      chainId: chain.chainId,
      inferenceId: id,
      attempt,
      executor,
      promptTokens: PROMPT_TOKENS,
      deadlineHeight: chain.height + 5n,
      ...options.receipt,
    });
    return {
      id,
      executor,
      record: {
        authorization: bytes,
        signature: signDigest(id, (options.signer ?? this.client).privateKey),
        receipt,
        receiptSignature: signDigest(sha256(receipt), (options.receiptSigner ?? this.nodeKey(executor)).privateKey),
        skips: Array.from({ length: attempt }, () => ({ reason: "timeout", busySignature: new Uint8Array() })),
        request: recording === RecordingMode.FULL ? request : new Uint8Array(),
        prefix: undefined,
        ...options.record,
      },
    };
  }

  /** Sends start records as the transfer agent, or as another operator; one code for each. */
  start(starts: readonly inference.StartRecord[], sender = this.transferAgent): number[] {
    return this.send(this.batch({ starts }, sender));
  }

  finish(records: readonly inference.FinishRecord[], sender: string): number[] {
    return this.send(this.batch({ finishes: records.map((each) => openFinish(this.chain.chainId, each)) }, sender));
  }

  /** Says that requests were delivered as their finishes say. */
  agree(requests: readonly Request[], sender = this.transferAgent): number[] {
    return this.send(this.batch({ delivered: requests.map(({ id }) => id) }, sender));
  }

  deliver(deliveries: readonly inference.DeliveryRecord[], sender = this.transferAgent): number[] {
    return this.send(this.batch({ deliveries }, sender));
  }

  /** What the node of an operator would send. */
  batch(batch: Omit<OpenBatch, "sender" | "operator">, operator: string): inference.MsgRecords {
    return compacted(this.chain.ctx, { sender: this.nodeKey(operator).address, operator, ...batch });
  }

  /** One code for each record. */
  send(message: inference.MsgRecords): number[] {
    const response = this.chain.deliver(this.inferences, "/karat.inference.v1.MsgRecords", message);
    return codesOf(message, response as inference.MsgRecordsResponse);
  }

  /** A verdict on values that were committed before: by everybody who still may, where nobody has. With it everybody opens the window that it owes. */
  judge(
    id: Uint8Array,
    validator: string,
    verdict: verification.Verdict = Verdict.VALID,
    change: Partial<verification.VerdictRecord> = {},
  ): number {
    for (const duty of this.check({ id })?.duties.filter(isCommitting) ?? []) this.commit(id, duty.validator);
    const convened = this.check({ id });
    // The window is drawn with the block of the last commitment.
    if (convened !== undefined && isConvened(convened) && this.windowOf(id) === 0) this.block();
    const code = this.reveal(id, validator, verdict, change);
    const check = this.check({ id });
    for (const duty of check?.duties.filter((each) => owesWindow(check, each)) ?? []) {
      if (!this.withholders.has(duty.validator)) this.reveal(id, duty.validator, duty.verdict);
    }
    return code;
  }

  /** Commits a validator to the values that `reveal` opens. */
  commit(id: Uint8Array, validator: string, commitment = this.commitmentOf(id, validator)): number {
    const message = {
      sender: this.validatorKey(validator).address,
      commitments: [{ inferenceId: id, commitment }],
    };
    return codes(this.chain.deliver(this.verification, "/karat.verification.v1.MsgCommitChecks", message))[0]!;
  }

  commitmentOf(inferenceId: Uint8Array, validator: string): Uint8Array {
    return checkCommitment({
      chainId: this.chain.chainId,
      inferenceId,
      validator,
      ...this.#openingOf(inferenceId, validator),
    });
  }

  reveal(
    id: Uint8Array,
    validator: string,
    verdict: verification.Verdict = Verdict.VALID,
    change: Partial<verification.VerdictRecord> = {},
  ): number {
    const record: verification.VerdictRecord = {
      inferenceId: id,
      verdict,
      pBucket: 0,
      distanceMicros: 0n,
      evidenceHash: sha256(id),
      ...this.#openingOf(id, validator),
      window: windowOf(this.#valuesOf(id, validator), this.windowOf(id)),
      ...change,
    };
    const message = { sender: this.validatorKey(validator).address, verdicts: [record] };
    return codes(this.chain.deliver(this.verification, "/karat.verification.v1.MsgSubmitVerdicts", message))[0]!;
  }

  #valuesOf(id: Uint8Array, validator: string): OwnValues {
    return valuesOf(this.inventors.has(validator) ? validator : MODEL, this.record({ id })?.completionTokens ?? 20);
  }

  #openingOf(id: Uint8Array, validator: string) {
    const { valuesHash, positions } = this.#valuesOf(id, validator);
    return { valuesHash, positions, salt: id, gatedMargins: 0 };
  }

  /** One more than the window that a second look has opened, or 0. */
  windowOf(inferenceId: Uint8Array): number {
    if (this.check({ id: inferenceId }) === undefined) return 0;
    const request = verification.QueryCheckRequest.encode({ inferenceId }).finish();
    const { decode } = verification.QueryCheckResponse;
    return this.query(this.verification, "/karat.verification.v1.Query/Check", request, decode).window;
  }

  /** Started now and finished in the same block. */
  served(options: RequestOptions = {}, finish: Partial<inference.FinishRecord> = {}): Request {
    const request = this.request(options);
    expectAll(this.start([request.record]));
    expectAll(this.finish([finishOf(request, finish)], request.executor));
    return request;
  }

  /** Served, with its duty drawn at the end of the next block. */
  drawn(options: RequestOptions = {}, finish: Partial<inference.FinishRecord> = {}): Request {
    const request = this.served(options, finish);
    this.block(2);
    return request;
  }

  /** The first validator objects and the committee is drawn; their operators. */
  contested(request: Request, verdict: verification.Verdict = Verdict.INVALID): string[] {
    expectAll([this.judge(request.id, this.dutiesOf(request)[0]!, verdict)]);
    this.block(2);
    return this.dutiesOf(request);
  }

  /** Ends blocks, with every invariant checked after each. */
  block(times = 1): void {
    for (let i = 0; i < times; i++) {
      this.chain.block([this.inferences, this.verification, this.reputation]);
      this.assertInvariants();
    }
  }

  assertInvariants(): void {
    const { ctx } = this.chain;
    const modules = [this.inferences, this.verification, this.reputation, this.deposits, this.participants];
    const broken = modules.flatMap((module) => module.invariants?.(ctx) ?? []);
    if (memoryBank.sum(ctx) !== memoryBank.supply(ctx)) broken.push("coins were made or lost");
    if (broken.length > 0) throw new Error(`broken invariants: ${broken.join("; ")}`);
  }

  /** Operators with an open duty. */
  dutiesOf({ id }: Request): string[] {
    const duties = this.check({ id })?.duties ?? [];
    return duties.filter((duty) => duty.verdict === Verdict.UNSPECIFIED && !duty.missed).map((duty) => duty.validator);
  }

  check = ({ id }: Pick<Request, "id">): verification.Check | undefined => this.verification.check(this.chain.ctx, id);
  record({ id }: Pick<Request, "id">): inference.Inference | undefined {
    const record = this.inferences.get(this.chain.ctx, id);
    return record && whole(this.chain.ctx, record);
  }

  standing = (operator: string): reputation.Standing => this.reputation.standing(this.chain.ctx, operator);
  reputationOf = (participant: string): reputation.QueryReputationResponse =>
    this.query(
      this.reputation,
      "/karat.reputation.v1.Query/Reputation",
      reputation.QueryReputationRequest.encode({ participant, model: MODEL }).finish(),
      reputation.QueryReputationResponse.decode,
    );
  deposit = () => this.deposits.get(this.chain.ctx, this.client.address);
  query<T>(module: { queries?: object }, path: string, request: Uint8Array, decode: (bytes: Uint8Array) => T): T {
    const handlers = module.queries as Record<string, (ctx: typeof this.chain.ctx, bytes: Uint8Array) => Uint8Array>;
    return decode(handlers[path]!(this.chain.ctx, request));
  }
}

function codes(response: object): number[] {
  return (response as { results: readonly { code: number }[] }).results.map(({ code }) => code);
}

function expectAll(results: readonly number[]): void {
  if (results.some((code) => code !== 0)) throw new Error(`refused with codes ${results.join(", ")}`);
}
