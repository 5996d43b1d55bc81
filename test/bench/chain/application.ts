/**
 * The application alone: `node test/bench/chain/application.ts [--inferences 4096] [--round 512] [--batch 64] [--live 1000,10000,100000]
 * [--seen no|yes] [--runs 1]`.
 * Recorded blocks of start, finish and delivery batches (recording mode commit, no payloads) and verdicts are replayed through
 * FinalizeBlock and Commit on a fresh application over LMDB that has not seen them in CheckTx; transfers in the same run are the
 * baseline. With `--seen yes` every transaction passes CheckTx first, outside the measured time, as on a node that was there when
 * it was sent: its threads know the signatures when the block comes. Milliseconds depend on the
 * machine; compare the ratios. With several `--runs` each kind of block has its least: what others do on a busy machine only adds.
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
  readonly costs = new Map<Kind, Cost>();
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
      this.#harness.app.finalizeBlock(request);
      const executed = performance.now();
      this.#harness.app.commit();
      const committed = performance.now();
      const { user, system } = process.cpuUsage(before);
      const cost = this.costs.get(kind) ?? { ...NOTHING };
      cost.ms += (user + system) / 1000;
      cost.finalize += executed - began;
      cost.commit += committed - executed;
      cost.records += held;
      cost.bytes += request.txs.reduce((sum, tx) => sum + tx.length, 0);
      this.costs.set(kind, cost);
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

  per(kind: Kind): number {
    const { ms, records: held } = this.costs.get(kind) ?? { ms: 0, records: 1 };
    return ms / held;
  }

  close(): void {
    this.#store.close();
    rmSync(this.#path, { recursive: true });
  }
}

const RECORDS: readonly Kind[] = ["start", "finish", "delivery"];
const SERVING: readonly Kind[] = ["start", "finish", "delivery", "commitment", "verdict", "empty"];

async function recordTraffic(): Promise<readonly RecordedBlock[]> {
  const { traffic, blocks } = await recorder();
  for (let i = 0; i < 3; i++) await traffic.sends(1_000);
  for (let done = 0; done < inferences; done += round) await traffic.round(Math.min(round, inferences - done), batch);
  // Two epochs on, everything is paid.
  await traffic.empty(61);
  return blocks;
}

/** What others do on a busy machine only adds, to each of the times by itself. */
const leastOf = (a: Cost, b: Cost): Cost => ({
  ...a,
  ms: Math.min(a.ms, b.ms),
  finalize: Math.min(a.finalize, b.finalize),
  commit: Math.min(a.commit, b.commit),
});

function report(costs: ReadonlyMap<Kind, Cost>): void {
  const cost = (kind: Kind) => costs.get(kind) ?? NOTHING;
  const per = (kind: Kind, what: "ms" | "finalize" | "commit" = "ms") =>
    cost(kind)[what] / Math.max(1, cost(kind).records);
  const total = SERVING.reduce((sum, kind) => sum + cost(kind).ms, 0);
  const bytes = SERVING.reduce((sum, kind) => sum + cost(kind).bytes, 0);
  const transfer = per("send");
  const each = total / inferences;
  line(`transfers        ${transfer.toFixed(3)} ms each, ${Math.round(1000 / transfer)}/s, ${perRecord(cost("send"))}`);
  for (const kind of ["start", "finish", "delivery", "commitment", "verdict"] as const) {
    const clock = `FinalizeBlock ${per(kind, "finalize").toFixed(3)}, Commit ${per(kind, "commit").toFixed(3)} on the clock`;
    line(
      `${kind.padEnd(16)} ${per(kind).toFixed(3)} ms each (${clock}), ${perRecord(cost(kind))}, ${cost(kind).records}`,
    );
  }
  const sum = (what: "ms" | "finalize" | "commit") =>
    RECORDS.reduce((all, kind) => all + per(kind, what), 0).toFixed(3);
  line(`these first three ${sum("ms")} ms (FinalizeBlock ${sum("finalize")}, Commit ${sum("commit")} on the clock)`);
  line(`empty blocks     ${cost("empty").ms.toFixed(0)} ms in all: settlement, rewards, epochs`);
  line(
    `inference        ${each.toFixed(3)} ms, ${Math.round(1000 / each)}/s on one core, ${(bytes / inferences).toFixed(0)} bytes; ` +
      `${((100 * cost("verdict").records) / inferences).toFixed(0)} % checked; ${(each / transfer).toFixed(2)} transfers`,
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
const least = new Map<Kind, Cost>();
for (let i = 0; i < runs; i++) {
  const measured = new Replay();
  await measured.run(blocks);
  measured.close();
  for (const [kind, cost] of measured.costs) least.set(kind, leastOf(cost, least.get(kind) ?? cost));
}
report(least);

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
