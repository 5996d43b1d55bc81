import { setTimeout as sleep } from "node:timers/promises";
import { isAlive, type ProcessRef, tailOf } from "./processes.ts";

/** Waits until `probe` is true. Throws with the end of the log when the process ends first or the time is over. */
export async function untilReady(ref: ProcessRef, probe: () => Promise<boolean>, timeoutMs = 90_000): Promise<void> {
  const until = Date.now() + timeoutMs;
  while (!(await probe().catch(() => false))) {
    if (!isAlive(ref)) throw new Error(`${ref.name} ended while starting. The end of ${ref.log}:\n${tailOf(ref.log)}`);
    if (Date.now() > until)
      throw new Error(
        `${ref.name} is not ready after ${timeoutMs / 1000} s. The end of ${ref.log}:\n${tailOf(ref.log)}`,
      );
    await sleep(100);
  }
}

/** True when a GET answers 200. */
export async function answers(address: string): Promise<boolean> {
  const answer = await fetch(address, { signal: AbortSignal.timeout(2_000) });
  await answer.body?.cancel();
  return answer.ok;
}
