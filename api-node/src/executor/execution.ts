import { prefixOf, signMessage } from "@karat/client";
import { isKaratError, KaratError, type Logger, signDigest, toHex } from "@karat/common";
import { encodeSigned, inference, sign } from "@karat/proto";
import { type ArtifactCoding, constraintOf, samplingSeed } from "@karat/rules";
import type { ChainView } from "../chain/view.ts";
import type { NodeIdentity } from "../identity.ts";
import type { PayloadSink } from "../payloads/payload.ts";
import type { RecordSink } from "../records/record.ts";
import { type CheckedRequest, describeError, errorObject } from "./checks.ts";
import {
  type AnswerOrigin,
  encodeForChain,
  failedFinish,
  finishPayloads,
  finishRecord,
  type RecordedAnswer,
  recordedAnswer,
  type Statement,
  statementWithRoot,
} from "./finish.ts";
import type { GenerateBody, MlEnd, MlLine, MlModel, MlNode, MlStart } from "./mlNode.ts";
import type { Lease, MlPool } from "./mlPool.ts";
import { cancelledAnswer } from "./partialAnswer.ts";
import type { EndLine, ExecuteLine, ExecuteRequest, ReceiptLine, TokenLine } from "./protocol.ts";

export interface ExecutionModules {
  readonly view: ChainView;
  readonly identity: NodeIdentity;
  readonly ml: MlPool;
  readonly records: RecordSink;
  readonly payloads: PayloadSink;
  readonly log: Logger;
}

/** Refusals that another ML node would repeat: they are about the request. */
const REQUEST_FAULTS = [
  "context_length_exceeded",
  "invalid_request",
  "invalid_prompt",
  "invalid_sampling",
  "unsupported_constraint",
];

const NONE = new Uint8Array();

/** One execution, from the checked request to its finish record. */
export class Execution {
  readonly #modules: ExecutionModules;
  readonly #checked: CheckedRequest;
  readonly #request: ExecuteRequest;
  readonly #signal: AbortSignal;
  readonly #seed: Uint8Array;
  /** Fixed for the whole run: it decides how many alternatives the ML node is asked for. */
  readonly #coding: ArtifactCoding;
  readonly #tokens: TokenLine[] = [];
  #receipt: ReceiptLine | undefined;
  #start: MlStart | undefined;
  /** Prompt tokens, as the receipt states them. */
  #promisedTokens = 0;
  #deadlineHeight = 0n;
  #recorded = false;
  /** The answer is complete. */
  #whole = false;

  constructor(modules: ExecutionModules, checked: CheckedRequest, request: ExecuteRequest, signal: AbortSignal) {
    this.#modules = modules;
    this.#checked = checked;
    this.#request = request;
    this.#signal = signal;
    this.#coding = modules.ml.coding(checked.authorization.model);
    this.#seed = samplingSeed(modules.view.chainId, checked.orderId, checked.beacon, new Uint8Array());
  }

  /** True once a receipt was given. */
  get promised(): boolean {
    return this.#receipt !== undefined;
  }

  /** True once a finish is on its way to the chain. */
  get recorded(): boolean {
    return this.#recorded;
  }

  /** Tries one ML node after another until one has begun to answer; afterwards there is no other. */
  async *lines(): AsyncGenerator<readonly ExecuteLine[]> {
    const tried = new Set<MlNode>();
    let overloaded = true;
    for (;;) {
      const { authorization, dimensions } = this.#checked;
      const lease = this.#modules.ml.lease(authorization.model, tried, dimensions);
      if (!lease) {
        yield [await this.#nobody(overloaded)];
        return;
      }
      tried.add(lease.node);
      let failed = false;
      try {
        yield* this.#answer(lease);
        return;
      } catch (error) {
        if (this.#signal.aborted) return; // the connection was closed from here, which is no fault of the node
        failed = isKaratError(error, "ml_unreachable");
        const final = this.#tokens.length > 0 || isKaratError(error, ...REQUEST_FAULTS);
        this.#modules.log.warn({ url: lease.node.url, error: describeError(error), final }, "An ML node failed.");
        overloaded &&= isKaratError(error, "overloaded", "rate_limit_exceeded");
        if (!final) continue;
        this.#recordFailure(describeError(error));
        yield [{ type: "error", error: errorObject(error) }];
        return;
      } finally {
        lease.release(failed);
      }
    }
  }

  /**
   * Records what there is when the transfer agent left before the end. Of a whole answer, the records are sent at once when the transfer agent
   * has taken it, and not before its own would be there when it has not: it may have called this executor off and taken another.
   */
  close(taken: () => Promise<boolean>): void {
    if (this.#whole) void this.#sendWhenTaken(taken);
    if (this.#recorded || this.#tokens.length === 0) return;
    const { authorization, inferenceId } = this.#checked;
    this.#record(
      cancelledAnswer({
        coding: this.#coding,
        inferenceId,
        seed: this.#seed,
        sampling: authorization.sampling!,
        promptTokens: this.#start!.prompt_tokens,
        promptHash: this.#start!.prompt_hash,
        ...(this.#start?.prefix ? { prefix: this.#start.prefix } : {}),
        tokens: this.#tokens,
      }),
    );
  }

  async #sendWhenTaken(taken: () => Promise<boolean>): Promise<void> {
    if (!(await taken())) return;
    const { inferenceId } = this.#checked;
    this.#modules.records.hasten("start", inferenceId);
    this.#modules.records.hasten("finish", inferenceId);
  }

  async *#answer(lease: Lease): AsyncGenerator<readonly ExecuteLine[]> {
    for await (const batch of lease.node.generate(this.#body(), this.#signal)) {
      const lines: ExecuteLine[] = [];
      try {
        for (const next of batch) {
          const line = this.#translate(next, lease.model);
          if (line) lines.push(line);
          if (line?.type === "end") break;
        }
      } catch (error) {
        if (lines.length > 0) yield lines; // they came before
        throw error;
      }
      if (lines.length > 0) yield lines;
      if (lines.at(-1)?.type === "end") return;
    }
    throw new KaratError("ml_unreachable", "The ML node ended its answer early.");
  }

  #translate(line: MlLine, model: MlModel): ReceiptLine | TokenLine | EndLine | undefined {
    switch (line.type) {
      case "start":
        this.#start = line;
        if (this.#receipt) return undefined; // given when another ML node had begun
        this.#receipt = this.#promise(line.prompt_tokens);
        return this.#receipt;
      case "token": {
        if (this.#checked.dimensions !== undefined) {
          throw new KaratError("engine_failed", "The ML node gave text where vectors were asked for.");
        }
        if (this.#tokens.push(line) === 1) this.#recordStart();
        const { authorization, sanitized, prefix } = this.#checked;
        if (prefix.length + this.#tokens.length > authorization.maxOutputTokens) {
          throw new KaratError("engine_failed", "The ML node gave more tokens than were asked for.");
        }
        return { ...line, top: line.top.slice(0, topLogprobs(sanitized)) };
      }
      case "end":
        return this.#end(line, model);
      case "error":
        throw new KaratError(line.error.code ?? "engine_failed", line.error.message);
      default:
        throw new KaratError("engine_failed", "The ML node sent a line that is not known.");
    }
  }

  #end(line: MlEnd, model: MlModel): EndLine {
    const answer = recordedAnswer(line, this.#start!.prompt_hash);
    const { dimensions } = this.#checked;
    if (dimensions === undefined) this.#modules.ml.learnCoding(model, answer.artifact, answer.tokenIds.length);
    const statement = this.#record(answer);
    this.#whole = true;
    return {
      type: "end",
      finish_reason: line.finish_reason,
      usage: line.usage,
      token_ids: line.token_ids,
      text: line.text,
      prompt_hash: this.#start!.prompt_hash,
      artifact: line.artifact,
      response: statement.bytes,
      response_signature: signDigest(statement.root, this.#modules.identity.privateKey),
    };
  }

  /**
   * The signed receipt, given when an ML node has taken the request and before it has read the prompt. Throws `context_length_exceeded`
   * before anything was promised.
   */
  #promise(count: number): ReceiptLine {
    const { view, identity } = this.#modules;
    const { authorization, inferenceId, prefix } = this.#checked;
    if (count > authorization.maxInputTokens + prefix.length) {
      throw new KaratError("context_length_exceeded", "The prompt is longer than the authorization allows.", {
        prompt_tokens: count,
      });
    }
    this.#promisedTokens = count;
    this.#deadlineHeight = view.height() + view.params().inferenceDeadline;
    const receipt = {
      chainId: view.chainId,
      inferenceId,
      attempt: this.#request.attempt,
      executor: identity.operator,
      promptTokens: count,
      deadlineHeight: this.#deadlineHeight,
    };
    // Where the transfer agent is this node, the start's transaction stands for the signature, whoever of the two makes it.
    if (this.#request.opened) return { type: "receipt", receipt: encodeSigned("receipt", receipt), signature: NONE };
    const { bytes, signature } = signMessage("receipt", receipt, identity.privateKey);
    return { type: "receipt", receipt: bytes, signature };
  }

  /** No ML node (is left) to take it: busy when all were full, a failure when one died after the receipt. */
  async #nobody(overloaded: boolean): Promise<ExecuteLine> {
    const { view, identity } = this.#modules;
    if (this.#receipt && !overloaded) {
      this.#recordFailure("engine_unavailable");
      return { type: "error", error: { code: "engine_unavailable", message: "No ML node could answer." } };
    }
    const message = {
      chainId: view.chainId,
      inferenceId: this.#checked.orderId,
      attempt: this.#request.attempt,
      executor: identity.operator,
    };
    return { type: "busy", signature: signMessage("busy", message, identity.privateKey).signature };
  }

  #record(answer: RecordedAnswer): Statement {
    const { records, payloads, view } = this.#modules;
    const { inferenceId, authorization } = this.#checked;
    const record = finishRecord(this.#origin(), answer);
    const statement = statementWithRoot(view.chainId, record);
    this.#recorded = true;
    if (this.#tokens.length === 0) this.#recordStart();
    records.add({
      kind: "finish",
      inferenceId,
      record: encodeForChain(record, authorization.recording, view.params().maxInlineBytes),
      deadlineHeight: this.#deadlineHeight,
      notBefore: this.#notBefore(),
    });
    const request = { hash: authorization.requestHash, canonical: this.#request.request };
    void payloads.put(...finishPayloads(request, statement.root, record));
    return statement;
  }

  #origin(): AnswerOrigin {
    const { inferenceId, prefix: prefixTokenIds } = this.#checked;
    const { operator: executor } = this.#modules.identity;
    return { inferenceId, executor, receiptPromptTokens: this.#promisedTokens, prefixTokenIds };
  }

  /** Last height at which the chain takes the start of the order, and that of what this executor gives: a part is behind an order that began in time. */
  get #orderDeadline(): bigint {
    return this.#checked.authorization.anchorHeight + this.#modules.view.params().maxAnchorAge;
  }
  get #startDeadline(): bigint {
    return this.#request.prefix ? this.#deadlineHeight : this.#orderDeadline;
  }

  /**
   * What the transfer agent has not taken waits half of the time that a start has. The transfer agent, which may have called this executor off
   * and taken another, records it within a third, and its word has to come first also where its records are held up for a while. What began
   * late waits less: a quarter of that time stays for the way to the chain.
   */
  #notBefore(deadline = this.#startDeadline): bigint {
    const { view } = this.#modules;
    const { maxAnchorAge } = view.params();
    const height = view.height();
    const patient = height + maxAnchorAge / 2n;
    const latest = deadline - maxAnchorAge / 4n;
    return latest < height ? height : latest < patient ? latest : patient;
  }

  /** The start that this executor has promised: recorded by itself, so that its transaction stands for its signature. */
  #recordStart(): void {
    const { inferenceId, orderId } = this.#checked;
    const { records, view } = this.#modules;
    const deadlineHeight = this.#startDeadline;
    const notBefore = this.#notBefore();
    records.add({ kind: "start", inferenceId, record: this.#startRecord(), deadlineHeight, notBefore });
    const { orderStart } = this.#request;
    const orderDeadline = this.#orderDeadline;
    if (!orderStart || view.height() > orderDeadline) return;
    // The start of its order, should transfer agent and first executor be gone before it was on its way.
    records.add({
      kind: "start",
      inferenceId: orderId,
      record: orderStart,
      deadlineHeight: orderDeadline,
      notBefore: this.#notBefore(orderDeadline),
      awaits: "start",
    });
  }

  /** Only of use when the transfer agent started the inference with this executor; the executor never starts it to its own harm. */
  #recordFailure(code: string): void {
    this.#recorded = true;
    if (!this.#receipt) return;
    const { inferenceId } = this.#checked;
    const record = inference.FinishRecord.encode(failedFinish(this.#origin(), code)).finish();
    this.#modules.records.add({ kind: "finish", inferenceId, record, deadlineHeight: this.#deadlineHeight });
  }

  #startRecord(): Uint8Array {
    const { authorization, signature, skips, request, prefix, prefixSignature } = this.#request;
    const full = this.#checked.authorization.recording === sign.RecordingMode.FULL;
    return inference.StartRecord.encode({
      authorization,
      signature: prefixSignature ?? signature,
      receipt: this.#receipt!.receipt,
      receiptSignature: this.#receipt!.signature,
      skips: [...skips]
        .sort((a, b) => a.attempt - b.attempt)
        .map(({ reason, busySignature }) => ({ reason, busySignature: busySignature ?? new Uint8Array() })),
      request: full && !prefix ? new TextEncoder().encode(request) : new Uint8Array(),
      prefix: prefix && prefixOf(prefix),
    }).finish();
  }

  #body(): GenerateBody {
    const { authorization, inferenceId, sanitized, prefix } = this.#checked;
    return {
      ...(prefix.length > 0 ? { prefix_token_ids: prefix } : {}),
      ...(this.#request.stream === false ? { stream: false } : {}),
      model: authorization.model,
      ...answerable(sanitized),
      max_tokens: authorization.maxOutputTokens,
      stop: sanitized.stop ?? [],
      sampling: authorization.sampling!,
      seed: toHex(this.#seed),
      inference_id: toHex(inferenceId),
      top_logprobs: Math.max(this.#coding.k, topLogprobs(sanitized)),
    };
  }
}

type Sanitized = CheckedRequest["sanitized"];

/** What decides the prompt and which tokens may be chosen. */
const answerable = (sanitized: Sanitized) => {
  const { messages, prompt, input } = sanitized;
  return { ...(messages ? { messages } : input ? { input } : { prompt }), ...constraintOf(sanitized) };
};

/** Alternatives the client asked to see. */
const topLogprobs = ({ logprobs, top_logprobs: top }: Sanitized): number =>
  typeof logprobs === "number" ? logprobs : (top ?? 0);
