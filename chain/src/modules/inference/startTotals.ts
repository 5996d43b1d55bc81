import type { Context } from "../../app/module.ts";
import type { RecordDeps } from "./expects.ts";
import { STORE, startedWith } from "./keys.ts";

/** What the starts of one message add up to, written once for all of them. */
export class StartTotals {
  /** Executor → starts. */
  readonly #assigned = new Map<string, bigint>();
  /** Deadline → inferences started with it, also before. */
  readonly #deadlines = new Map<bigint, bigint>();

  /** How many inferences were started with a deadline. */
  startedWith(ctx: Context, deadline: bigint): bigint {
    return this.#deadlines.get(deadline) ?? startedWith.get(ctx.store(STORE), deadline) ?? 0n;
  }

  add(ctx: Context, executor: string, deadline: bigint): void {
    this.#assigned.set(executor, (this.#assigned.get(executor) ?? 0n) + 1n);
    this.#deadlines.set(deadline, this.startedWith(ctx, deadline) + 1n);
  }

  write(deps: RecordDeps, ctx: Context, epoch: bigint): void {
    for (const [deadline, count] of this.#deadlines) startedWith.set(ctx.store(STORE), deadline, count);
    for (const [executor, count] of this.#assigned) {
      deps.reputation.assigned(ctx, executor, count);
      deps.rewards.assigned(ctx, executor, epoch, count);
    }
  }
}
