import { NdjsonParser } from "@karat/common/http";
import type { Dispatcher } from "undici";

export interface LinesRequest {
  readonly path: string;
  readonly headers: Record<string, string>;
  readonly body: string | Uint8Array;
  readonly signal: AbortSignal;
  readonly maxLineBytes: number;
}

/** Bytes that may come before somebody reads; then the sender is held up. */
const MOST_WAITING_BYTES = 256 * 1024;
/** Bytes of an answer that is no stream of lines. */
const MAX_ERROR_BYTES = 16 * 1024;
/** Bytes that may follow the last line. */
const MOST_BEHIND_END = 1_024;

type Phase = "waiting" | "open" | "ended";

/**
 * One POST whose answer is lines of JSON, read as many at a time as have come: without the streams of undici's `request`, which cost more
 * than all that is done with a line. Whoever leaves it calls `close`.
 */
export class JsonLines implements Dispatcher.DispatchHandler {
  readonly #parser: NdjsonParser;
  readonly #signal: AbortSignal;
  #controller: Dispatcher.DispatchController | undefined;
  #phase: Phase = "waiting";
  #status = 0;
  #values: unknown[] = [];
  #waitingBytes = 0;
  #text = "";
  #error: unknown;
  #wake: (() => void) | undefined;
  #closed = false;
  #behindEnd = 0;

  constructor(dispatcher: Dispatcher, { path, headers, body, signal, maxLineBytes }: LinesRequest) {
    this.#parser = new NdjsonParser(maxLineBytes);
    this.#signal = signal;
    signal.addEventListener("abort", this.#abort);
    dispatcher.dispatch({ method: "POST", path, headers, body }, this);
  }

  /** The status code, as soon as it is there. Throws what the connection says. */
  async status(): Promise<number> {
    while (this.#phase === "waiting") await this.#news();
    if (this.#status === 0) throw this.#error;
    return this.#status;
  }

  /** The values that have come since the last call, at least one; none at the end. Throws `malformed_stream`, or what the connection says. */
  async read(): Promise<readonly unknown[]> {
    while (this.#values.length === 0 && this.#phase !== "ended") await this.#news();
    if (this.#values.length === 0 && this.#error !== undefined) throw this.#error;
    const values = this.#values;
    this.#values = [];
    this.#waitingBytes = 0;
    this.#controller?.resume();
    return values;
  }

  /** The whole answer, where the status says that it is no stream of lines; its beginning, when it is long. */
  async text(): Promise<string> {
    while (this.#phase !== "ended" && this.#text.length < MAX_ERROR_BYTES) await this.#news();
    return this.#text;
  }

  /** Done with it: behind its last line the connection is kept for the next request; before it, closing the connection stops the other side. */
  close(complete: boolean): void {
    this.#closed = true;
    this.#signal.removeEventListener("abort", this.#abort);
    if (complete) this.#controller?.resume();
    else this.#abort();
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    if (this.#phase === "ended" || this.#signal.aborted) this.#abort(); // it was left before it began
  }

  onResponseStart(_controller: Dispatcher.DispatchController, status: number): void {
    if (status < 200) return; // others follow
    this.#status = status;
    this.#phase = "open";
    this.#tell();
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#closed) {
      this.#behindEnd += chunk.length;
      if (this.#behindEnd > MOST_BEHIND_END) this.#abort();
      return;
    }
    if (this.#status !== 200) {
      this.#text += chunk.toString("utf8");
      if (this.#text.length >= MAX_ERROR_BYTES) this.#abort();
    } else {
      try {
        this.#parser.push(chunk, this.#values);
      } catch (error) {
        this.#end(error);
        this.#abort();
      }
      this.#waitingBytes += chunk.length;
      if (this.#waitingBytes > MOST_WAITING_BYTES && this.#values.length > 0) controller.pause();
    }
    this.#tell();
  }

  onResponseEnd(): void {
    if (this.#closed) return;
    try {
      if (this.#status === 200) this.#parser.end();
      this.#end(undefined);
    } catch (error) {
      this.#end(error);
    }
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    this.#end(error);
  }

  #end(error: unknown): void {
    if (this.#phase === "ended") return;
    this.#phase = "ended";
    this.#error = error;
    this.#tell();
  }

  readonly #abort = (): void => {
    this.#end(this.#signal.reason ?? new Error("closed"));
    this.#controller?.abort(new Error("closed"));
  };

  #news(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  #tell(): void {
    this.#wake?.();
    this.#wake = undefined;
  }
}
