/** Runs on disk as they are made, one JSON line each, so that a calibration of hours goes on where it was interrupted. */
import { appendFile, readFile, rm, writeFile } from "node:fs/promises";
import { KaratError } from "@karat/common";
import { z } from "zod";

export type Phase = "pilot" | "calibration" | "held-out";

const ROW = z.strictObject({
  phase: z.enum(["pilot", "calibration", "held-out"]),
  setting: z.string(),
  /** Tokens of the output. */
  length: z.int().min(0),
  /** Bytes of the artifact. */
  bytes: z.int().min(0),
  /** Scores by the sigmas of the profile; in the pilot the spreads that the sigmas come from: recorded, and before rounding. */
  distance: z.number(),
  scan: z.number(),
  gumbel: z.number(),
  likelihood: z.number().optional(),
  /** Held out: the verdict of the finished profile. In calibration a dry run by the profile that is extended. */
  verdict: z.enum(["pass", "fail", "abstain"]).optional(),
  reason: z.string().optional(),
  p: z.number().optional(),
  pDistance: z.number().optional(),
  pSampling: z.number().optional(),
});
export type Row = z.infer<typeof ROW>;

/** More rows than any plan has: a journal of another kind is not read into memory row by row. */
const MAX_ROWS = 1_000_000;

export class Journal {
  readonly rows: Row[] = [];
  readonly #path: string;

  private constructor(path: string) {
    this.#path = path;
  }

  /**
   * Opens the journal of a plan; `plan` is anything that decides what the runs are. Throws `journal_of_another_plan` {path} when the
   * file belongs to other runs: continue those or delete it.
   */
  static async open(path: string, plan: Readonly<Record<string, unknown>>): Promise<Journal> {
    const journal = new Journal(path);
    const header = JSON.stringify(plan);
    const text = await readFile(path, "utf8").catch(() => undefined);
    if (text === undefined) {
      await writeFile(path, `${header}\n`);
      return journal;
    }
    const [first, ...lines] = text.split("\n");
    if (first !== header) {
      throw new KaratError(
        "journal_of_another_plan",
        "the journal belongs to other settings; continue with those, or delete it",
        {
          path,
        },
      );
    }
    // The last line may have been cut off in the middle; everything before it is whole.
    for (const line of lines.slice(0, MAX_ROWS)) {
      const row = parsed(line);
      if (row) journal.rows.push(row);
    }
    await writeFile(path, [header, ...journal.rows.map((row) => JSON.stringify(row)), ""].join("\n"));
    return journal;
  }

  of(phase: Phase): Row[] {
    return this.rows.filter((row) => row.phase === phase);
  }

  async add(row: Row): Promise<void> {
    this.rows.push(row);
    await appendFile(this.#path, `${JSON.stringify(row)}\n`);
  }

  async remove(): Promise<void> {
    await rm(this.#path, { force: true });
  }
}

function parsed(line: string): Row | undefined {
  try {
    return ROW.safeParse(JSON.parse(line)).data;
  } catch {
    return undefined;
  }
}
