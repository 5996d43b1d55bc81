import { KaratError } from "@karat/common";
import { Holds } from "../chain/deposits.ts";
import { checkRequest, describeError, errorObject, lockedCost } from "./checks.ts";
import type { ExecutedIds } from "./executedIds.ts";
import { Execution, type ExecutionModules } from "./execution.ts";
import type { ExecuteLine, ExecuteRequest, Executor } from "./protocol.ts";

export interface LocalExecutorModules extends ExecutionModules {
  readonly executed: ExecutedIds;
}

/** This participant's own executor: checks the order, gives a receipt, has an ML node compute, records the finish. */
export class LocalExecutor implements Executor {
  readonly own = true;
  readonly #modules: LocalExecutorModules;
  readonly #holds: Holds;

  constructor(modules: LocalExecutorModules) {
    this.#modules = modules;
    this.#holds = new Holds(() => modules.view.height());
  }

  execute(request: ExecuteRequest, signal: AbortSignal): AsyncIterable<readonly ExecuteLine[]> {
    // Within this process, who calls it off has done so by the time that nobody reads on.
    return this.executeFor(this.#modules.identity.operator, request, signal, async () => !signal.aborted);
  }

  /**
   * `sender` is the transfer agent, as its signed request proved. `taken` is asked when the last line was read or nobody reads on: whether the
   * transfer agent has not called this executor off; it may be some time before that is certain.
   */
  async *executeFor(
    sender: string,
    request: ExecuteRequest,
    signal: AbortSignal,
    taken: () => Promise<boolean>,
  ): AsyncGenerator<readonly ExecuteLine[]> {
    const { view, identity, executed, log } = this.#modules;
    let claimed: Uint8Array | undefined;
    try {
      const checked = await checkRequest(view, identity.operator, sender, request);
      const { authorization, inferenceId, prefix } = checked;
      if (!executed.claim(inferenceId, this.#rememberedFrom(request, authorization.anchorHeight))) {
        throw new KaratError("authorization_reused", "This authorization was used before.");
      }
      claimed = inferenceId;
      const run = new Execution(this.#modules, checked, request, signal);
      const { maxInputTokens, maxOutputTokens } = authorization;
      const behind = prefix.length;
      // What a part writes is held for its order already.
      const worst = lockedCost(checked.self.offer, maxInputTokens + behind, behind > 0 ? 0 : maxOutputTokens);
      const { client } = authorization;
      const hold = this.#holds.take(client, worst, await view.deposit(client, worst + this.#holds.of(client)));
      try {
        yield* run.lines();
      } finally {
        run.close(taken);
        if (run.recorded) hold.begun();
        if (run.promised) claimed = undefined; // executed: the id stays taken
        hold.release();
      }
    } catch (error) {
      log.debug({ error: describeError(error) }, "An execution was refused.");
      yield [{ type: "error", error: errorObject(error) }];
    } finally {
      if (claimed) executed.release(claimed);
    }
  }

  /** Ids are forgotten `max_anchor_age` behind this height: a part may be asked for as long as its order may be continued. */
  #rememberedFrom({ prefix }: ExecuteRequest, anchorHeight: bigint): bigint {
    const { maxAnchorAge, inferenceDeadline } = this.#modules.view.params();
    return prefix && inferenceDeadline > maxAnchorAge ? anchorHeight + inferenceDeadline - maxAnchorAge : anchorHeight;
  }
}
