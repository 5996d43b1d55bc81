/** Honest runs of one phase, spread evenly over the settings and written to the journal as they are made. */
import type { Journal, Phase, Row } from "./journal.ts";
import { type Run, runWorkload, type Setting } from "./runs.ts";
import { type WorkloadOptions, workload } from "./workload.ts";

export interface Collection {
  phase: Phase;
  /** All settings together; each gets its share, rounded up. */
  runs: number;
  /** The workload of setting i is that of `seed + i`. */
  seed: number;
  requests: WorkloadOptions;
  /** Settings that are worked on at the same time. */
  lanes: number;
  /** Values recorded at each position. */
  recordTop: number;
  rowOf(run: Run, setting: string): Omit<Row, "phase" | "setting">;
  /** Called after each run with the number of runs made. */
  onProgress?(done: number): void;
}

/** Makes what the journal lacks of the phase. The same arguments give the same requests, however often it is interrupted. */
export async function collectRuns(settings: readonly Setting[], journal: Journal, plan: Collection): Promise<Row[]> {
  const shares = settings.reduce((sum, { share = 1 }) => sum + share, 0);
  const waiting = [...settings.entries()];
  let done = journal.of(plan.phase).length;
  const lane = async (): Promise<void> => {
    for (let next = waiting.shift(); next; next = waiting.shift()) {
      const [index, setting] = next;
      const share = Math.ceil((plan.runs * (setting.share ?? 1)) / shares);
      const items = workload(plan.seed + index, plan.requests);
      const made = journal.of(plan.phase).filter((row) => row.setting === setting.name).length;
      for (let i = 0; i < made; i++) items.next();
      for await (const run of runWorkload(setting, items, share - made, plan.recordTop)) {
        await journal.add({ phase: plan.phase, setting: setting.name, ...plan.rowOf(run, setting.name) });
        plan.onProgress?.(++done);
      }
    }
  };
  await Promise.all(Array.from({ length: plan.lanes }, lane));
  return journal.of(plan.phase);
}
