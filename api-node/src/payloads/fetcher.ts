import { type Logger, messageOf, sha256, toHex } from "@karat/common";
import { inference, statementOf } from "@karat/proto";
import { Agent, request } from "undici";
import type { ChainView } from "../chain/view.ts";
import type { PeerAuthentication } from "../peers/authentication.ts";
import type { PayloadStore } from "./payloadStore.ts";

const MAX_BYTES = 32 * 1024 * 1024;
const TIMEOUT_MS = 10_000;

export interface PayloadFetcherOptions {
  readonly store: PayloadStore;
  readonly view: ChainView;
  readonly authentication: PeerAuthentication;
  readonly log: Logger;
}

/** Gets payloads for this participant's own processes: from the own store, else from peers with a signed request. */
export class PayloadFetcher {
  readonly #options: PayloadFetcherOptions;
  readonly #agent = new Agent({
    connections: 4,
    maxResponseSize: MAX_BYTES,
    headersTimeout: TIMEOUT_MS,
    bodyTimeout: TIMEOUT_MS,
  });

  constructor(options: PayloadFetcherOptions) {
    this.#options = options;
  }

  /** The first answer of `operators` that fits the hash, a whole one before one without its artifact; undefined when nobody has one. */
  async fetch(hash: string, operators: readonly string[]): Promise<Uint8Array | undefined> {
    const own = this.#options.store.get(hash);
    if (own) return own;
    let sealed: Uint8Array | undefined;
    for (const operator of operators) {
      try {
        const bytes = await this.#ask(operator, hash);
        const found = bytes && fit(this.#options.view.chainId, hash, bytes);
        if (found === "whole") return bytes;
        if (found === "sealed") sealed ??= bytes;
      } catch (error) {
        this.#options.log.warn({ operator, hash, error: messageOf(error) }, "A peer did not give a payload.");
      }
    }
    return sealed;
  }

  close(): Promise<void> {
    return this.#agent.close();
  }

  async #ask(operator: string, hash: string): Promise<Uint8Array | undefined> {
    const { view, authentication } = this.#options;
    const peer = view.participant(operator);
    if (!peer) return undefined;
    const { origin, pathname } = new URL(peer.url);
    const path = `${pathname.replace(/\/$/, "")}/karat/v1/payloads/${hash}`;
    const headers = authentication.headers(operator, "GET", path, new Uint8Array());
    const { statusCode, body } = await request(origin + path, {
      headers,
      dispatcher: this.#agent,
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    const bytes = new Uint8Array(await body.arrayBuffer());
    return statusCode === 200 ? bytes : undefined;
  }
}

/** A request is known by the hash of its bytes, a finish record by that of its statement; undefined where it is neither. */
function fit(chainId: string, hash: string, bytes: Uint8Array): "whole" | "sealed" | undefined {
  if (toHex(sha256(bytes)) === hash) return "whole";
  try {
    const record = inference.FinishRecord.decode(bytes);
    if (toHex(sha256(statementOf(chainId, record))) !== hash) return undefined;
    return record.artifact.length > 0 ? "whole" : "sealed";
  } catch {
    return undefined;
  }
}
