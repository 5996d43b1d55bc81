/**
 * `main.ts start` whose node is killed at moments that a test names: KARAT_CRASH is a list, `app:<moment>` kills this process and
 * `comet:<moment>` kills CometBFT; each waits for a few commits after the one before.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import type { Application } from "../../engine/abci.ts";
import { start } from "../start.ts";
import { reportFailure } from "../usage.ts";

const CALLS = ["prepareProposal", "processProposal", "finalizeBlock", "commit"] as const;
type Call = (typeof CALLS)[number];
/** `during` is a moment in the first few milliseconds of the call, wherever it is then. */
export type Moment = `${"before" | "during" | "after"}-${Call}`;
export type CrashPoint = `${"app" | "comet"}:${Moment}`;

const COMMITS_BEFORE = 2;

const args = process.argv.slice(3);
const home = args[args.indexOf("--home") + 1]!;
const points = (process.env.KARAT_CRASH ?? "").split(",").filter((text) => text !== "") as CrashPoint[];
let commits = 0;

// A thread of its own: the one that executes blocks has no ear for timers meanwhile.
const killer = new Worker(
  `const { workerData, parentPort } = require("node:worker_threads");
   parentPort.on("message", (ms) => {
     const until = performance.now() + ms;
     while (performance.now() < until);
     process.kill(workerData, "SIGKILL");
   });`,
  { eval: true, workerData: process.pid },
);
killer.unref();

function reach(moment: Moment): void {
  const point = points[0];
  if (point === undefined || commits < COMMITS_BEFORE || !point.endsWith(`:${moment}`)) return;
  points.shift();
  commits = 0;
  if (point.startsWith("comet:")) {
    process.kill(Number(readFileSync(join(home, "comet", "cometbft.pid"), "utf8")), "SIGKILL");
  } else if (moment.startsWith("during-")) killer.postMessage(Math.random() * 3);
  else process.kill(process.pid, "SIGKILL");
}

const crashing = (application: Application): Application =>
  new Proxy(application, {
    get(target, name) {
      const member: unknown = Reflect.get(target, name);
      if (typeof member !== "function") return member;
      const call = CALLS.find((each) => each === name);
      if (call === undefined) return member.bind(target);
      return async (...request: unknown[]) => {
        reach(`before-${call}`);
        reach(`during-${call}`);
        const answer: unknown = await member.apply(target, request);
        if (call === "commit") commits++;
        reach(`after-${call}`);
        return answer;
      };
    },
  });

try {
  await start(args, { decorate: crashing });
} catch (error) {
  process.exitCode = reportFailure(error);
}
