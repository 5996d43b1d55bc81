/**
 * The application alone: `node test/bench/chain/application.ts [--inferences 4096] [--round 512] [--batch 64] [--live 1000,10000,100000]
 * [--seen no|yes] [--runs 1]`.
 * Recorded blocks of start, finish and delivery batches (recording mode commit, no payloads) and verdicts are replayed through
 * FinalizeBlock and Commit on a fresh application over LMDB that has not seen them in CheckTx; transfers in the same run are the
 * baseline. With `--seen yes` every transaction passes CheckTx first, outside the measured time, as on a node that was there when
 * it was sent: its threads know the signatures when the block comes. Milliseconds depend on the
 * machine; compare the ratios. With several `--runs` each block has its least: what others do on a busy machine only adds. Blocks in which
 * earlier inferences are paid are told apart: what paying costs is not what starting costs.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { sha256, silentLogger, utf8 } from "@karat/common";
import { inference, refOf } from "@karat/proto";
import { type Composition, composeModules, STORES } from "../../../chain/src/app/compose.ts";
import type { Module } from "../../../chain/src/app/module.ts";
import { SignaturePool, SignaturesAhead, verifiedSignatures } from "../../../chain/src/app/signatures/index.ts";
import { AppHarness } from "../../../chain/src/app/testing/index.ts";
import { expiring, records } from "../../../chain/src/modules/inference/keys.ts";
import { LmdbCommitStore } from "../../../chain/src/store/index.ts";
import { profiled } from "./profile.ts";
import { CHAIN, type Kind, type RecordedBlock, recorder } from "./traffic.ts";

const { values } = parseArgs({
  options: {
    inferences: { type: "string", default: "4096" },
    round: { type: "string", default: "512" },
    batch: { type: "string", default: "64" },
    live: { type: "string", default: "1000,10000,100000" },
    seen: { type: "string", default: "no" },
    runs: { type: "string", default: "1" },
  },
});
const count = (text: string): number => {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 1) throw new RangeError(`${text} is no positive whole number`);
  return value;
};
const [inferences, round, batch] = [count(values.inferences), count(values.round), count(values.batch)];
const runs = count(values.runs);
const line = (text = "") => void process.stdout.write(`${text}\n`);

if (values.seen !== "yes" && values.seen !== "no") throw new RangeError("--seen is yes or no");
const pool = values.seen === "yes" ? new SignaturePool({ log: silentLogger }) : undefined;

type Time = "ms" | "finalize" | "commit";

/** A kind of blocks, and those of it in which earlier inferences are settled. */
type Row = Kind | `settling ${Kind}`;

interface Cost {
  /** CPU time in ms, of all threads. */
  ms: number;
  /** Time on the clock, ms. */
  finalize: number;
  commit: number;
  records: number;
  bytes: number;
}

const NOTHING: Cost = { ms: 0, finalize: 0, commit: 0, records: 0, bytes: 0 };

class Replay {
  /** Of each block, in order. */
  readonly costs: Measured[] = [];
  readonly #path = mkdtempSync(join(tmpdir(), "karat-bench-"));
  readonly #store = LmdbCommitStore.open({ path: this.#path, ...STORES });
  readonly #harness: AppHarness;

  constructor(composition: Composition = composeModules()) {
    this.#harness = new AppHarness({ ...CHAIN, store: this.#store, composition });
  }

  async run(blocks: readonly RecordedBlock[]): Promise<void> {
    for (const { kind, records: held, request } of blocks) {
      await this.#see(request.txs);
      const before = process.cpuUsage();
      const began = performance.now();
      const { events } = this.#harness.app.finalizeBlock(request);
      const executed = performance.now();
      this.#harness.app.commit();
      const committed = performance.now();
      const { user, system } = process.cpuUsage(before);
      this.costs.push({
        row: events.some(({ type }) => type === "inference_settled") ? `settling ${kind}` : kind,
        ms: (user + system) / 1000,
        finalize: executed - began,
        commit: committed - executed,
        records: held,
        bytes: request.txs.reduce((sum, tx) => sum + tx.length, 0),
      });
    }
  }

  /** Leaves the signatures known as a node has them: all of what passed CheckTx, or none. */
  async #see(txs: readonly Uint8Array[]): Promise<void> {
    verifiedSignatures.clear();
    if (pool === undefined) return;
    const ahead = new SignaturesAhead(this.#harness.app, pool);
    for (const tx of txs) ahead.checkTx({ tx, type: 0 });
    await pool.idle();
  }

  /** CPU time of a record, ms. */
  per(row: Row): number {
    return each(
      sumOf(this.costs, (cost) => cost.row === row),
      "ms",
    );
  }

  close(): void {
    this.#store.close();
    rmSync(this.#path, { recursive: true });
  }
}

const RECORDS: readonly Kind[] = ["start", "finish", "delivery"];

async function recordTraffic(): Promise<readonly RecordedBlock[]> {
  const { traffic, blocks } = await recorder();
  for (let i = 0; i < 3; i++) await traffic.sends(1_000);
  for (let done = 0; done < inferences; done += round) await traffic.round(Math.min(round, inferences - done), batch);
  // Two epochs on, everything is paid.
  await traffic.empty(61);
  return blocks;
}

/** What others do on a busy machine only adds, to each of the times by itself. */
const leastOf = (a: Measured, b: Measured): Measured => ({
  ...a,
  ms: Math.min(a.ms, b.ms),
  finalize: Math.min(a.finalize, b.finalize),
  commit: Math.min(a.commit, b.commit),
});

type Measured = Cost & { readonly row: Row };

function sumOf(costs: readonly Measured[], wanted: (cost: Measured) => boolean): Cost {
  const sum = { ...NOTHING };
  for (const cost of costs.filter(wanted)) {
    for (const what of ["ms", "finalize", "commit", "records", "bytes"] as const) sum[what] += cost[what];
  }
  return sum;
}

/** Of a record. */
const each = (cost: Cost, what: Time): number => cost[what] / Math.max(1, cost.records);

function report(costs: readonly Measured[]): void {
  const of = (...rows: readonly Row[]) => sumOf(costs, ({ row }) => rows.includes(row));
  const both = (kind: Kind) => of(kind, `settling ${kind}`);
  const clock = (cost: Cost) =>
    `FinalizeBlock ${each(cost, "finalize").toFixed(3)}, Commit ${each(cost, "commit").toFixed(3)} on the clock`;
  for (const kind of ["send", ...RECORDS, "commitment", "verdict"] as const) {
    for (const row of [kind, `settling ${kind}`] as const) {
      const cost = of(row);
      if (cost.records === 0) continue;
      line(
        `${row.padEnd(19)} ${each(cost, "ms").toFixed(3)} ms each (${clock(cost)}), ${perRecord(cost)}, ${cost.records}`,
      );
    }
  }
  const three = (costOf: (kind: Kind) => Cost): string => {
    const sum = (what: Time) => RECORDS.reduce((all, kind) => all + each(costOf(kind), what), 0).toFixed(3);
    return `${sum("ms")} ms (FinalizeBlock ${sum("finalize")}, Commit ${sum("commit")} on the clock)`;
  };
  line(
    `start + finish + delivery ${three((kind) => of(kind))}; what others are paid in the same blocks included ${three(both)}`,
  );
  line(`empty blocks ${both("empty").ms.toFixed(0)} ms in all: settlement, rewards, epochs`);
  const all = sumOf(costs, ({ row }) => row !== "send");
  const [inference, transfer] = [all.ms / inferences, of("send").ms / of("send").records];
  const checked = (100 * both("verdict").records) / inferences;
  line(
    `inference ${inference.toFixed(3)} ms, ${Math.round(1000 / inference)}/s on one core, ${(all.bytes / inferences).toFixed(0)} bytes; ` +
      `${checked.toFixed(0)} % checked; ${(inference / transfer).toFixed(2)} transfers`,
  );
}

const perRecord = ({ bytes, records: held }: Cost): string => `${(bytes / Math.max(1, held)).toFixed(0)} bytes`;

/** What starts and finishes cost beside `live` records that have ended and are kept. */
async function atSize(live: number): Promise<{ start: number; finish: number }> {
  const { traffic, blocks } = await recorder();
  await traffic.round(round, batch);
  await traffic.round(round, batch);
  const replay = new Replay(preloaded(live));
  await replay.run(blocks);
  replay.close();
  return { start: replay.per("start"), finish: replay.per("finish") };
}

/** All modules, and one that puts ended inferences into the state before block 2. */
function preloaded(live: number): Composition {
  const composition = composeModules();
  const preload: Module = {
    name: "preload",
    beginBlock(ctx) {
      if (ctx.height !== 2n) return;
      const store = ctx.store("inference");
      const address = (i: number) => `karat1${String(i % 500).padStart(38, "q")}`;
      for (let i = 0; i < live; i++) {
        const id = sha256(utf8(`live ${i}`));
        const hashes = { requestHash: id, root: id };
        const parties = { client: address(i), transferAgent: address(i + 1), executor: address(i + 2) };
        const status = inference.InferenceStatus.SETTLED;
        records.set(store, refOf(id), inference.Inference.fromPartial({ id, status, ...hashes, ...parties }));
        expiring.set(store, [1_000_000n, refOf(id)], true);
      }
    },
  };
  return { ...composition, modules: [...composition.modules, preload] };
}

const blocks = await recordTraffic();
line(`${inferences} inferences in rounds of ${round}, batches of ${batch}, ${blocks.length} blocks`);
const warmUp = new Replay();
await warmUp.run(blocks);
warmUp.close();
let least: readonly Measured[] | undefined;
for (let i = 0; i < runs; i++) {
  const measured = new Replay();
  await measured.run(blocks);
  measured.close();
  const before = least;
  least = measured.costs.map((cost, at) => leastOf(cost, before?.[at] ?? cost));
}
report(least!);

line();
const observed = new Replay();
const serving = blocks.findIndex(({ kind }) => kind === "start");
await observed.run(blocks.slice(0, serving));
for (const [part, share] of await profiled(() => observed.run(blocks.slice(serving)))) {
  line(`${(100 * share).toFixed(1).padStart(5)} %  ${part}`);
}
observed.close();

line();
let first: number | undefined;
for (const live of values.live.split(",").map(count)) {
  const { start, finish } = await atSize(live);
  first ??= start + finish;
  const ratio = (start + finish) / first;
  line(
    `${String(live).padStart(7)} live records: start ${start.toFixed(3)}, finish ${finish.toFixed(3)} ms; ratio ${ratio.toFixed(2)}`,
  );
}
await pool?.close();
