import { KaratError } from "@karat/common";
import { Holds } from "../chain/deposits.ts";
import { HedgeBudget, type HedgeOptions } from "../transferAgent/hedging.ts";
import { checkRequest, describeError, errorObject, lockedCost } from "./checks.ts";
import type { ExecutedIds } from "./executedIds.ts";
import { Execution, type ExecutionModules } from "./execution.ts";
import type { ExecuteLine, ExecuteRequest, Executor } from "./protocol.ts";

const MAX_SENDERS = 4_096;

export interface LocalExecutorModules extends ExecutionModules {
  readonly executed: ExecutedIds;
  /** Continued answers for each request of a transfer agent, on the average and in a row: the chain does not pay for them. */
  readonly continuations?: HedgeOptions;
}

/** This participant's own executor: checks the order, gives a receipt, has an ML node compute, records the finish. */
export class LocalExecutor implements Executor {
  readonly own = true;
  readonly #modules: LocalExecutorModules;
  readonly #holds: Holds;
  /** By transfer agent; senders are registered participants. */
  readonly #continuations = new Map<string, HedgeBudget>();

  constructor(modules: LocalExecutorModules) {
    this.#modules = modules;
    this.#holds = new Holds(() => modules.view.height());
  }

  execute(request: ExecuteRequest, signal: AbortSignal): AsyncIterable<ExecuteLine> {
    return this.#execute(this.#modules.identity.operator, request, signal);
  }

  /** `sender` is the transfer agent, as its signed request proved. What it is told is recorded here already. */
  executeFor(sender: string, request: ExecuteRequest, signal: AbortSignal): AsyncGenerator<ExecuteLine> {
    return this.#execute(sender, request, signal, true);
  }

  async *#execute(
    sender: string,
    request: ExecuteRequest,
    signal: AbortSignal,
    recordsFirst = false,
  ): AsyncGenerator<ExecuteLine> {
    const { view, identity, executed, log } = this.#modules;
    let claimed: Uint8Array | undefined;
    try {
      const checked = await checkRequest(view, identity.operator, sender, request);
      this.#admit(sender, request);
      const { authorization, inferenceId, prefix } = checked;
      if (!executed.claim(inferenceId, authorization.anchorHeight)) {
        throw new KaratError("authorization_reused", "This authorization was used before.");
      }
      claimed = inferenceId;
      const run = new Execution(this.#modules, checked, request, signal);
      const { maxInputTokens, maxOutputTokens } = authorization;
      const behind = prefix.length;
      const worst = lockedCost(checked.self.offer, maxInputTokens + behind, maxOutputTokens - behind);
      const { client } = authorization;
      const hold = this.#holds.take(client, worst, await view.deposit(client, worst + this.#holds.of(client)));
      try {
        for await (const line of run.lines()) {
          if (recordsFirst && line.type === "end") await run.saved;
          yield line;
        }
      } finally {
        await run.close();
        if (run.recorded) hold.begun();
        if (run.promised) claimed = undefined; // executed: the id stays taken
        hold.release();
      }
    } catch (error) {
      log.debug({ error: describeError(error) }, "An execution was refused.");
      yield { type: "error", error: errorObject(error) };
    } finally {
      if (claimed) executed.release(claimed);
    }
  }

  /** Throws `rate_limit_exceeded` when a transfer agent breaks off more answers than executors fail. */
  #admit(sender: string, { prefix }: ExecuteRequest): void {
    const known = this.#continuations.get(sender);
    const budget = known ?? new HedgeBudget(this.#modules.continuations ?? { share: 0.05, burst: 20 });
    if (!known) {
      if (this.#continuations.size >= MAX_SENDERS) this.#continuations.delete(this.#continuations.keys().next().value!);
      this.#continuations.set(sender, budget);
    }
    if (!prefix) budget.earn();
    else if (!budget.take()) {
      throw new KaratError("rate_limit_exceeded", "Too many continued answers.", { retry_after_s: 1 });
    }
  }
}
