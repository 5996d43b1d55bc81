/** Processes that outlive the script: started detached with their output in a log file, known by pid and start time. */
import { spawn } from "node:child_process";
import { closeSync, mkdirSync, openSync, readFileSync } from "node:fs";
import { dirname } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

export interface ProcessRef {
  readonly name: string;
  readonly pid: number;
  /** Clock ticks after boot at which it started: tells it from a later process with the same pid. */
  readonly startedAt: string;
  readonly log: string;
}

export interface ProcessSpec {
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  readonly log: string;
  readonly env?: NodeJS.ProcessEnv;
  readonly cwd?: string;
}

export function startProcess(spec: ProcessSpec): ProcessRef {
  mkdirSync(dirname(spec.log), { recursive: true });
  const out = openSync(spec.log, "a");
  const child = spawn(spec.command, [...spec.args], {
    cwd: spec.cwd,
    detached: true,
    stdio: ["ignore", out, out],
    env: { ...process.env, ...spec.env },
  });
  closeSync(out);
  child.unref();
  const { pid } = child;
  if (pid === undefined) throw new Error(`cannot start ${spec.name}: ${spec.command}`);
  return { name: spec.name, pid, startedAt: startTimeOf(pid) ?? "", log: spec.log };
}

/** True while the very process that was started is running. */
export function isAlive(ref: ProcessRef): boolean {
  const startedAt = startTimeOf(ref.pid);
  return startedAt !== undefined && (ref.startedAt === "" || startedAt === ref.startedAt);
}

/** SIGTERM, then SIGKILL for what has not ended within the grace. Ends only the processes that these references name. */
export async function endProcesses(refs: readonly ProcessRef[], graceMs = 10_000): Promise<void> {
  for (const ref of refs) signal(ref, "SIGTERM");
  const until = Date.now() + graceMs;
  while (refs.some(isAlive) && Date.now() < until) await sleep(50);
  for (const ref of refs) signal(ref, "SIGKILL");
  while (refs.some(isAlive)) await sleep(20);
}

function signal(ref: ProcessRef, name: NodeJS.Signals): void {
  if (!isAlive(ref)) return;
  try {
    process.kill(ref.pid, name);
  } catch {
    // ended between the look and the signal
  }
}

/** Field 22 of /proc/<pid>/stat; undefined for a process that is gone or a zombie. */
function startTimeOf(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return fields[0] === "Z" ? undefined : fields[19];
  } catch {
    if (process.platform === "linux") return undefined;
    try {
      process.kill(pid, 0);
      return "";
    } catch {
      return undefined;
    }
  }
}

/** The end of a log file, for an error message. */
export function tailOf(path: string, lines = 15): string {
  try {
    return readFileSync(path, "utf8").trimEnd().split("\n").slice(-lines).join("\n");
  } catch {
    return "";
  }
}
