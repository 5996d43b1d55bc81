/**
 * Keeps one engine process alive: a native crash or a kill ends the child, not the node. The jobs of a dead child fail with
 * `engine_died`, and the child is started again, at first at once, then with a delay that doubles up to a bound.
 */
import { type ChildProcess, fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import { KaratError, type Logger } from "@karat/common";
import type { EngineState } from "../engine.ts";
import { cancelled } from "../slots.ts";
import type { LoadOptions, Reply, Request } from "./messages.ts";

const CHILD = fileURLToPath(new URL("./child.ts", import.meta.url));
const CLOSE_GRACE_MS = 5_000;

export type Ready = Extract<Reply, { type: "ready" }>;
type JobReply = Extract<Reply, { job: number }>;
type JobRequest = Extract<Request, { job: number }>;
type JobBody = JobRequest extends infer R ? (R extends JobRequest ? Omit<R, "job"> : never) : never;

export interface JobHandler {
  onReply(reply: JobReply): void;
  /** The process is gone; no further reply comes. */
  onDeath(error: KaratError): void;
}

export interface Backoff {
  firstMs: number;
  maxMs: number;
}

export class Supervisor {
  readonly #options: LoadOptions;
  readonly #logger: Logger;
  readonly #backoff: Backoff;
  readonly #jobs = new Map<number, JobHandler>();
  #child: ChildProcess | undefined;
  #state: EngineState = "starting";
  #ready: Ready | undefined;
  #waiters: { resolve(ready: Ready): void; reject(error: unknown): void }[] = [];
  #nextJob = 1;
  #failures = 0;
  #restarts = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: LoadOptions, logger: Logger, backoff: Backoff) {
    this.#options = options;
    this.#logger = logger;
    this.#backoff = backoff;
    this.#start();
  }

  get state(): EngineState {
    return this.#state;
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  get restarts(): number {
    return this.#restarts;
  }

  /** Resolves when the child has its model; rejects `engine_unavailable` when the last start failed, `cancelled` on abort. */
  async ready(signal?: AbortSignal): Promise<Ready> {
    if (this.#state === "ready" && this.#ready) return this.#ready;
    if (this.#state !== "starting") throw unavailable();
    return new Promise((resolve, reject) => {
      const waiter = { resolve, reject };
      this.#waiters.push(waiter); // bounded by the slots in front of the engine
      signal?.addEventListener(
        "abort",
        () => {
          this.#waiters = this.#waiters.filter((other) => other !== waiter);
          reject(cancelled());
        },
        { once: true },
      );
    });
  }

  /** Starts a job in the child and returns its number. Call after `ready()`. */
  submit(request: JobBody, handler: JobHandler): number {
    const job = this.#nextJob++;
    if (this.#state !== "ready") throw unavailable();
    this.#jobs.set(job, handler);
    this.#send({ ...request, job } as JobRequest);
    return job;
  }

  cancel(job: number): void {
    if (this.#jobs.has(job)) this.#send({ type: "cancel", job });
  }

  async close(): Promise<void> {
    this.#state = "closed";
    clearTimeout(this.#timer);
    this.#rejectWaiters(unavailable());
    const child = this.#child;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    await new Promise<void>((resolve) => {
      const kill = setTimeout(() => child.kill("SIGKILL"), CLOSE_GRACE_MS);
      child.once("exit", () => {
        clearTimeout(kill);
        resolve();
      });
      this.#send({ type: "close" });
    });
  }

  #start(): void {
    const child = fork(CHILD, [], {
      execArgv: [],
      serialization: "advanced",
      stdio: ["ignore", "ignore", "pipe", "ipc"],
    });
    this.#child = child;
    this.#ready = undefined;
    child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      this.#logger.warn({ text: text.trimEnd().slice(0, 2_000) }, "engine output");
    });
    child.on("message", (reply: Reply) => this.#onReply(reply));
    child.on("error", (error) => this.#logger.error({ error: error.message }, "engine process error"));
    child.on("exit", (code, signal) => this.#onExit(child, code, signal));
    this.#send({ type: "load", options: this.#options });
  }

  #send(request: Request): void {
    // A failed send means that the child is going down; its exit event does the rest.
    if (this.#child?.connected) this.#child.send(request, () => {});
  }

  #onReply(reply: Reply): void {
    if (reply.type === "ready") {
      this.#ready = reply;
      if (this.#state !== "closed") this.#state = "ready";
      for (const waiter of this.#waiters.splice(0)) waiter.resolve(reply);
    } else if (reply.type === "load_failed") {
      this.#logger.error({ reason: reply.message }, "the engine cannot load its model");
      this.#child?.kill("SIGKILL");
    } else {
      const handler = this.#jobs.get(reply.job);
      if (reply.type === "done") {
        this.#jobs.delete(reply.job);
        this.#failures = 0;
      }
      handler?.onReply(reply);
    }
  }

  #onExit(child: ChildProcess, code: number | null, signal: NodeJS.Signals | null): void {
    if (child !== this.#child) return;
    const error = new KaratError("engine_died", "the inference engine stopped in the middle of the request", {
      code,
      signal,
    });
    for (const handler of [...this.#jobs.values()]) handler.onDeath(error);
    this.#jobs.clear();
    if (this.#state === "closed") return;
    const loaded = this.#state === "ready";
    this.#state = loaded ? "starting" : "failed";
    if (!loaded) this.#rejectWaiters(unavailable());
    const delayMs =
      this.#failures === 0 ? 0 : Math.min(this.#backoff.firstMs * 2 ** (this.#failures - 1), this.#backoff.maxMs);
    this.#failures++;
    this.#logger.error({ code, signal, delay_ms: delayMs }, "the engine process ended; starting it again");
    this.#timer = setTimeout(() => {
      this.#restarts++;
      this.#start();
    }, delayMs);
  }

  #rejectWaiters(error: KaratError): void {
    for (const waiter of this.#waiters.splice(0)) waiter.reject(error);
  }
}

const unavailable = (): KaratError =>
  new KaratError("engine_unavailable", "the inference engine is not running", { retry_after_s: 5 });
